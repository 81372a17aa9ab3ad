"""Settings with their origin: flag > environment > preset > config.toml > default.

Knows names and their order; not how a flag is typed or a preset is stored.
"""

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from gptoss_cli import names
from gptoss_cli.errors import BadInput
from gptoss_cli.language import AUTO, LANGUAGES
from gptoss_cli.names import ModelName
from gptoss_cli.options import LOADING, NAMES, SAMPLING_NAMES, Options, boolean, typed
from gptoss_cli.units import seconds

ENVIRONMENT_PREFIX = "GPTOSS_"  # GPTOSS_MODEL, GPTOSS_REASONING, GPTOSS_TEMPERATURE, ...
FILE, DEFAULT = "config.toml", "default"
RUNTIME_VARIABLE = "XDG_RUNTIME_DIR"
LONGEST_RUNTIME = 60  # the path of a socket has 103 characters at most on a Mac, and 40 come behind

COLOURS = ("auto", "always", "never")
THINKING = ("line", "show", "hide")
# colours of code: the terminal's own, none, or a style of Pygments
THEMES = (
    "terminal", "plain", "default", "friendly", "vs", "monokai", "dracula", "nord", "one-dark", "github-dark",
    "gruvbox-dark", "gruvbox-light", "solarized-dark", "solarized-light",
)  # fmt: skip
CHOICES = {"colour": COLOURS, "language": LANGUAGES, "theme": THEMES, "thinking": THINKING}
OF_MODELS = tuple(sorted(NAMES | set(LOADING)))  # what a table [models.NAME] may set
SWITCHES = ("save", "history", "prompt_cache")
SETTINGS = ("model", *OF_MODELS, *CHOICES, *SWITCHES, "keep_alive")
SPELLINGS = {
    "keepalive": "keep_alive",
    "color": "colour",
    "num_predict": "max_tokens",
    "num_gpu": "gpu_layers",
    "num_thread": "threads",
}


@dataclass(frozen=True)
class Places:
    """Where things are kept on this machine.

    runtimes: folders for sockets, the best first; the last one has a path that is short enough. Whether they can be
    used is for others to find out.
    """

    config_file: Path
    cache: Path
    data: Path
    runtimes: tuple[Path, ...]

    @property
    def sessions(self) -> Path:
        """The saved chats."""
        return self.data / "sessions.db"

    @property
    def inputs(self) -> Path:
        """What was typed in chats."""
        return self.data / "inputs.jsonl"

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Places":
        """GPTOSS_HOME moves everything; without it, the platform's own folders."""
        if home := environment.get("GPTOSS_HOME"):
            root = Path(os.path.expanduser(home))
            return cls(root / FILE, root / "cache", root, _runtimes(environment, root))
        import platformdirs  # 10 ms: not needed by --version and --help

        data = Path(platformdirs.user_data_dir("gptoss"))
        return cls(
            Path(platformdirs.user_config_dir("gptoss")) / FILE,
            Path(platformdirs.user_cache_dir("gptoss")),
            data,
            _runtimes(environment, data),
        )


@dataclass(frozen=True)
class Settings:
    """What is in force; `origin` says for each name that is not at its default who set it.

    An origin is what a user can change: `--temperature`, `GPTOSS_TEMPERATURE`, `NO_COLOR`, `preset zh`,
    `config.toml [models.zh]`, `config.toml`. model: the default one. gpu_layers, threads: None is the engine's choice.
    theme: of the code in answers. thinking: one line, the thoughts themselves, or no sign of them. save: whether chats
    are kept; history: whether what is typed in them is; prompt_cache: whether states are, of what was read. keep_alive:
    how long a model stays loaded that is not used.
    """

    model: str | None
    options: Options
    origin: Mapping[str, str]
    gpu_layers: int | None = None
    threads: int | None = None
    colour: str = COLOURS[0]
    language: str = AUTO
    theme: str = THEMES[0]
    thinking: str = THINKING[0]
    save: bool = True
    history: bool = True
    prompt_cache: bool = True
    keep_alive: str = "5m"

    @property
    def keep_alive_s(self) -> float:
        """0: not beyond the command; negative: for ever."""
        return seconds(self.keep_alive)

    @classmethod
    def resolve(
        cls,
        *,
        flags: Mapping[str, object],
        environment: Mapping[str, str],
        preset: Mapping[str, object],
        file: Mapping[str, object],
        model: str = "",
    ) -> "Settings":
        """Settings from the four sources; a None among the flags was not given.

        environment: the process's whole environment. file: as read_file has it. model: the name of the one in use,
        whose table in the file goes before the file's general entries, and whose preset it is. Raises BadInput with
        the source's name for an unknown name in the file or a bad value anywhere.
        """
        values: dict[str, object] = {}
        origin: dict[str, str] = {}
        for source, name, value in (
            *_of_file(file, model),
            *((f"preset {model}".rstrip(), name, value) for name, value in preset.items()),
            *_of_environment(environment),
            *((_flag(name, value), name, value) for name, value in flags.items() if value is not None),
        ):
            values[name] = checked(name, value, source)
            origin[name] = source
        own = ("model", *LOADING, *CHOICES, *SWITCHES, "keep_alive")
        others = {name: values.pop(name) for name in own if name in values}
        default: dict[str, object] = {"model": None}
        return cls(options=Options().override(values), origin=origin, **(default | others))  # type: ignore[arg-type]

    def value(self, name: str) -> object:
        """The value in force of one of SETTINGS."""
        if name in SAMPLING_NAMES:
            return getattr(self.options.sampling, name)
        return getattr(self.options if name in NAMES else self, name)


def read_file(path: Path) -> dict[str, object]:
    """The settings in config.toml, as they stand there; none if there is no file.

    Raises BadInput with the place of a syntax error, for a name that is not known, and for a bad value, also in the
    table of a model that is not in use.
    """
    try:
        file = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path}: {error}", hint="gptoss config edit opens it") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    spelt(general(file), str(path))
    for name, table in tables(file):
        spelt(table, f"{path} {head(name)}", of_model)
    return file


def checked(name: str, value: object, source: str = "") -> object:
    """`value` as the type of the setting `name`. Raises BadInput, which begins with `source` unless it is a flag."""
    try:
        if name == "model":
            return _text(name, value)
        if name in CHOICES:
            return _choice(name, value)
        if name in SWITCHES:
            return boolean(name, value)
        if name == "keep_alive":
            return _duration(name, value)
        return typed(name, value)
    except BadInput as error:
        if not source or source.startswith("--"):
            raise
        raise BadInput(f"{source}: {error}", hint=error.hint) from None


def canonical(name: str, source: str = "") -> str:
    """The one name of a setting that may be spelt in several ways. Raises BadInput for one that is not known."""
    if (known := SPELLINGS.get(name, name)) in SETTINGS:
        return known
    close = get_close_matches(name, (*SETTINGS, *SPELLINGS), 1)
    hint = f"did you mean {close[0]}?" if close else "known: " + ", ".join(SETTINGS)
    raise BadInput(f"{source}: unknown setting {name}" if source else f"unknown setting {name}", hint=hint)


def of_model(name: str, source: str = "") -> str:
    """`canonical`, of a setting that one model may have for itself. Raises BadInput."""
    known = canonical(name, source)
    if known in OF_MODELS:
        return known
    raise BadInput(f"{source}: {name} is not of one model" if source else f"{name} is not of one model")


def same_model(name: str, other: str) -> bool:
    """Whether two texts name one model: capitals do not matter, `x` is `x:latest`, `gpt-oss` is `gpt-oss:20b`."""
    return _model_key(name) == _model_key(other)


def head(name: str) -> str:
    """The line above the settings of one model."""
    if not re.fullmatch("[A-Za-z0-9_-]+", name):
        name = json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")  # a basic string of TOML
    return f"[models.{name}]"


def general(file: Mapping[str, object]) -> dict[str, object]:
    """The entries of config.toml that are for all models."""
    return {name: value for name, value in file.items() if name != "models"}


def tables(file: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Each model's own table in config.toml. Raises BadInput for what is none."""
    models = file.get("models", {})
    for name, table in models.items() if isinstance(models, Mapping) else [("", None)]:
        if not isinstance(table, Mapping):
            raise BadInput(f"{FILE}: models holds a table for each model", hint='[models."gpt-oss:20b"], say')
        yield name, table


def spelt(table: Mapping[str, object], source: str, known: Callable[[str, str], str] = canonical) -> dict[str, object]:
    """The entries of one table by their one name, with their types. Raises BadInput with `source`.

    known: canonical, or of_model for the table of a model.
    """
    found: dict[str, object] = {}
    for name, value in table.items():
        one = known(name, source)
        if one in found:
            raise BadInput(f"{source}: {one} stands there twice, once as {name}")
        found[one] = checked(one, value, source)
    return found


def _of_file(file: Mapping[str, object], model: str) -> Iterator[tuple[str, str, object]]:
    """(source, name, value), what counts most last."""
    for name, value in spelt(general(file), FILE).items():
        yield FILE, name, value
    for title, table in tables(file):
        if model and same_model(title, model):
            source = f"{FILE} {head(title)}"
            for name, value in spelt(table, source, of_model).items():
                yield source, name, value


def _of_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str, object]]:
    """As _of_file. NO_COLOR goes before FORCE_COLOR (as Python has it), and gptoss's own variable before both."""
    for variable, colour in (("FORCE_COLOR", "always"), ("NO_COLOR", "never")):
        if environment.get(variable):
            yield variable, "colour", colour
    for spelling in (*SPELLINGS, *SETTINGS):
        variable = ENVIRONMENT_PREFIX + spelling.upper()
        if value := environment.get(variable):
            yield variable, SPELLINGS.get(spelling, spelling), value


def _flag(name: str, value: object) -> str:
    flag = name.replace("_", "-").replace("colour", "color")
    return f"--no-{flag}" if value is False else f"--{flag}"


def _text(name: str, value: object) -> str:
    if isinstance(value, str) and value:
        return value
    hint = "the settings of one model stand below [models.NAME]" if isinstance(value, Mapping) else None
    raise BadInput(f"{name} must be a text, not {value!r}", hint=hint)


def _choice(name: str, value: object) -> str:
    text = str(value).replace("_", "-").lower()
    for choice in CHOICES[name]:
        if text == choice.lower():
            return choice
    *most, last = CHOICES[name]
    raise BadInput(f"{name} must be {', '.join(most)} or {last}, not {str(value)!r}")


def _duration(name: str, value: object) -> str:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        seconds(str(value))
    except ValueError:
        raise BadInput(
            f"{name} must be a duration such as 5m or 1h30m, or seconds; 0 is none, less is for ever; not {value!r}"
        ) from None
    return str(value)


def _runtimes(environment: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """A folder of its own for each home: a process that was started with one home is not found from another."""
    own = hashlib.sha256(os.fsencode(home.absolute())).hexdigest()[:8]
    user = os.getuid() if hasattr(os, "getuid") else 0
    base = environment.get("TMPDIR", "")
    if not os.path.isabs(base) or len(base) > LONGEST_RUNTIME:
        base = "/tmp"
    shared = Path(base) / f"gptoss-{user}" / own
    given = environment.get(RUNTIME_VARIABLE, "")
    return (Path(given) / "gptoss" / own, shared) if given else (shared,)


def _model_key(text: str) -> str:
    known = names.canonical(text) or text
    try:
        return "/".join(ModelName.parse(known).parts)
    except BadInput:  # a path
        return known
