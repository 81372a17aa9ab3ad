"""What a model is, in words: the object that programs read, and the lines that people read."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gptoss_cli import gguf, preset, weights
from gptoss_cli.library.model import TINY, Model, described, size_of, tiny
from gptoss_cli.modelfile import Modelfile
from gptoss_cli.units import padded, size

Words = Callable[..., str]  # a format string and its fields to a text: `translated`, or as it is


def model_object(model: Model) -> dict[str, Any]:
    """What --json says of a model; the keys are stable."""
    header = gguf.Header.read(model.weights)
    weights.check_usable(header)
    file = described(model)
    return {
        "name": model.name,
        "base": model.base,
        "architecture": header.architecture,
        "parameter_count": sum(
            _elements(each.shape) for part in weights.parts(model.weights) for each in _tensors(part)
        ),
        "quantization": header.quantization,
        "context_length": header.values.get(f"{header.architecture}.context_length"),
        "size_bytes": size_of(model.weights),
        "weights": str(model.weights),
        "modified": model.modified or None,
        "system": model.system or None,
        "parameters": parameters(file),
        "messages": [{"role": role, "content": text} for role, text in model.messages],
        "template": file.last("template") or header.text("tokenizer.chat_template") or None,
        "license": "\n\n".join(file.values("license")) or header.text("general.license") or None,
        "adapters": list(file.values("adapter")),
    }


def summary(told: Mapping[str, Any], file: Modelfile, words: Words = str.format) -> list[str]:
    """A section per thing, as `ollama show` has them. told: of model_object."""
    count = told["parameter_count"]
    rows = [
        (words("architecture"), str(told["architecture"])),
        (words("parameters"), f"{count / 1e9:.1f} B" if count >= 1e9 else f"{count:,}"),
        (words("quantization"), str(told["quantization"])),
        (words("context length"), str(told["context_length"])),
        (words("size"), size(told["size_bytes"])),
        (words("from"), str(told["base"])),
        (words("weights"), str(told["weights"])),
    ]
    lines = [f"  {words('Model')}", *(f"    {padded(name, 16)}{value}" for name, value in rows)]
    for title, body in (
        (words("Adapters"), list(told["adapters"])),
        (words("Parameters"), parameter_lines(file)),
        (words("System"), str(told["system"] or "").splitlines()),
        (words("Messages"), [f"{role}: {text.splitlines()[0] if text else ''}" for role, text in file.messages]),
        (words("License"), str(told["license"] or "").splitlines()[:2]),
    ):
        if body:
            lines += ["", f"  {title}", *(f"    {line}" for line in body)]
    return lines


def rows(told: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The same for programs that read lines: a name, perhaps a second one, and a value. A text of several lines, or
    with a tab in it, is a JSON string.
    """
    single = ("name", "base", "architecture", "parameter_count", "quantization", "context_length", "size_bytes")
    found: list[tuple[str, ...]] = [(name, str(told[name])) for name in (*single, "weights")]
    found += [("adapter", each) for each in told["adapters"]]
    for name, value in told["parameters"].items():
        several = value if isinstance(value, list) else [value]
        found += [
            ("parameter", name, _one_line(each) if isinstance(each, str) else json.dumps(each)) for each in several
        ]
    found += [("message", each["role"], _one_line(each["content"])) for each in told["messages"]]
    return found + [(name, _one_line(told[name])) for name in ("system", "license") if told[name]]


def _one_line(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if {"\n", "\r", "\t"} & set(text) else text


def parameters(file: Modelfile) -> dict[str, object]:
    """What is set for a model made of `file`: its PARAMETERs, typed, and what its base has set before."""
    own = preset.parameters(file)
    set_here = {preset.SAME_THING.get(name, name) for name in own}
    before = tiny().preset if file.source == TINY else {}
    return {name: value for name, value in before.items() if name not in set_here} | own


def parameter_lines(file: Modelfile) -> list[str]:
    """A line per parameter that is set, `stop` once for each text."""
    return [
        f"{name:<24}{_written(name, each)}"
        for name, value in parameters(file).items()
        for each in (value if isinstance(value, list) else [value])
    ]


def _written(name: str, value: object) -> str:
    quoted = name == "stop" or isinstance(value, bool)
    return json.dumps(value, ensure_ascii=False) if quoted else str(value)


def _tensors(path: Path) -> list[gguf.Tensor]:
    return list(gguf.Header.read(path).tensors)


def _elements(shape: tuple[int, ...]) -> int:
    count = 1
    for length in shape:
        count *= length
    return count
