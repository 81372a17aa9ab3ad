"""Model names, references to the Hugging Face Hub, and the catalogue of known gpt-oss builds."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from gptoss_cli.errors import BadInput

# Ollama's grammar and length limits: types/model/name.go of github.com/ollama/ollama
PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
NAMESPACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}")
LATEST = "latest"
DEFAULT_NAMESPACE = "library"  # Ollama's: `library/x` is `x`

# the Hub's: letters, digits, -, _ and . (huggingface_hub, utils/_validators.py, validate_repo_id)
REPOSITORY = re.compile(r"[A-Za-z0-9_][\w.-]{0,95}/[A-Za-z0-9_][\w.-]{0,95}", re.ASCII)
HUB_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
HUB_PREFIXES = ("hf:", *(f"{host}/" for host in HUB_HOSTS))

# repositories of a build on the Hub, the first that can be had is taken: ggml-org is llama.cpp's own conversion
BUILDS = {
    "gpt-oss:20b": (
        "ggml-org/gpt-oss-20b-GGUF",
        "unsloth/gpt-oss-20b-GGUF",
        "lmstudio-community/gpt-oss-20b-GGUF",
        "bartowski/openai_gpt-oss-20b-GGUF",
    ),
    "gpt-oss:120b": (
        "ggml-org/gpt-oss-120b-GGUF",
        "unsloth/gpt-oss-120b-GGUF",
        "lmstudio-community/gpt-oss-120b-GGUF",
        "bartowski/openai_gpt-oss-120b-GGUF",
    ),
}
ALIASES = {
    "gpt-oss": "gpt-oss:20b",
    "gpt-oss:latest": "gpt-oss:20b",
    "openai/gpt-oss-20b": "gpt-oss:20b",
    "openai/gpt-oss-120b": "gpt-oss:120b",
    "openai/gpt-oss-20b:latest": "gpt-oss:20b",
    "openai/gpt-oss-120b:latest": "gpt-oss:120b",
}


@dataclass(frozen=True)
class ModelName:
    """A name of a model on this machine. Two that differ in capitals only are the same name (`parts`)."""

    model: str
    tag: str = LATEST
    namespace: str | None = None

    @classmethod
    def parse(cls, text: str) -> "ModelName":
        """Raises BadInput for what is no name; it says which part is wrong."""
        path, colon, tag = text.rpartition(":")
        if not colon:
            path, tag = text, LATEST
        namespace, slash, model = path.rpartition("/")
        if slash and not NAMESPACE.fullmatch(namespace):
            raise _bad(text, f"{namespace!r} before the /")
        if not PART.fullmatch(model):
            raise _bad(text, repr(model))
        if not PART.fullmatch(tag):
            raise _bad(text, f"the tag {tag!r}")
        return cls(model, tag, namespace if slash and namespace.lower() != DEFAULT_NAMESPACE else None)

    @property
    def parts(self) -> tuple[str, str, str]:
        """(namespace, model, tag) in small letters: what tells names apart, and safe as names of folders."""
        return (self.namespace or DEFAULT_NAMESPACE).lower(), self.model.lower(), self.tag.lower()

    def __str__(self) -> str:
        """The shortest spelling."""
        name = f"{self.namespace}/{self.model}" if self.namespace else self.model
        return name if self.tag.lower() == LATEST else f"{name}:{self.tag}"


@dataclass(frozen=True)
class HubReference:
    """A file on the Hugging Face Hub: of a repository `owner/name`, by its path, or by its quantisation (`Q4_K_M`)."""

    repository: str
    file: str | None = None
    quant: str | None = None
    revision: str = "main"

    def __str__(self) -> str:
        wanted = self.file or self.quant
        return f"hf:{self.repository}:{wanted}" if wanted else f"hf:{self.repository}"


def canonical(text: str) -> str | None:
    """The name of the catalogue that `text` means (`gpt-oss:20b`), whatever its capitals; None for another."""
    name = text.lower()
    return name if name in BUILDS else ALIASES.get(name)


def is_hub_reference(text: str) -> bool:
    return text.startswith(("hf:", "https://", "http://")) or text.lower().startswith(HUB_PREFIXES)


def parse_hub_reference(text: str) -> HubReference:
    """`hf:owner/repo[:quant|file]`, `hf.co/owner/repo[:quant]`, or a page of the Hub's. Raises BadInput."""
    if text.startswith(("https://", "http://")):
        return _from_page(text)
    prefix = next(each for each in HUB_PREFIXES if text.lower().startswith(each))
    repository, _, wanted = text[len(prefix) :].partition(":")
    if not REPOSITORY.fullmatch(repository):
        raise BadInput(
            f"{text} names no repository", hint="write hf:owner/repository, hf:owner/repository:Q4_K_M or a file"
        )
    if not wanted:
        return HubReference(repository)
    if wanted.lower().endswith(".gguf"):
        return HubReference(repository, file=_checked_file(text, wanted))
    if not PART.fullmatch(wanted):
        raise BadInput(f"{text}: {wanted!r} is no quantisation", hint="MXFP4, Q4_K_M or F16, say")
    return HubReference(repository, quant=wanted)


def _from_page(text: str) -> HubReference:
    """`https://huggingface.co/owner/repo`, with `/tree/REVISION`, or `/blob/REVISION/FILE`, or `/resolve/…`."""
    parts = urlsplit(text)
    if parts.hostname not in HUB_HOSTS:
        raise BadInput(
            f"{text} is not on the Hugging Face Hub", hint="only huggingface.co is known; download it yourself"
        )
    owner, name, *rest = [*unquote(parts.path).strip("/").split("/"), ""]
    repository = f"{owner}/{name}"
    if not REPOSITORY.fullmatch(repository):
        raise BadInput(f"{text} names no repository", hint="https://huggingface.co/owner/repository")
    rest = [each for each in rest if each]
    if len(rest) >= 3 and rest[0] in ("blob", "resolve"):
        return HubReference(repository, file=_checked_file(text, "/".join(rest[2:])), revision=rest[1])
    if len(rest) >= 2 and rest[0] == "tree":
        return HubReference(repository, revision=rest[1])
    return HubReference(repository)


def _checked_file(text: str, file: str) -> str:
    if not file.lower().endswith(".gguf") or any(part in ("", ".", "..") for part in file.split("/")):
        raise BadInput(f"{text}: {file!r} is no GGUF file of the repository")
    return file


def _bad(text: str, part: str) -> BadInput:
    return BadInput(
        f"{text!r} is no model name: {part} does not fit",
        hint="[namespace/]model[:tag], of letters, digits, - _ and ., at most 80 each, a letter or digit first",
    )
