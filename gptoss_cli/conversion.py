"""A gpt-oss GGUF of Ollama's layout, written anew as llama.cpp has it. Knows both layouts; downloads and names nothing.

What differs is listed in llama/compat/llama-ollama-compat.cpp (handle_gptoss) of github.com/ollama/ollama; the layout
of its first files in ml/backend/ggml/ggml.go and convert/convert_gptoss.go there: MXFP4 in another order of nibbles,
gate and up rows interleaved in one tensor, biases of the experts in BF16.
"""

import math
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gptoss_cli.errors import BadInput
from gptoss_cli.gguf import MAGIC, STRING, TENSOR_TYPES, Header, Tensor, padded

OLLAMA, UPSTREAM = "gptoss", "gpt-oss"
ORIGIN = "gptoss_cli.converted_from"  # a key of our own: the path and size of the file that was converted
RENAMED = ((".attn_out.", ".attn_output."), (".ffn_norm.", ".post_attention_norm."))
FUSED, HALVES = ".ffn_gate_up_exps.", (".ffn_gate_exps.", ".ffn_up_exps.")
VERSION, UINT32 = 3, 4  # docs/gguf.md of ggml
BLOCK = 16 * 2**20  # bytes that are copied at once

Bytes = Any  # a numpy array of uint8; numpy is imported late
Change = Callable[[Bytes], Bytes]


@dataclass(frozen=True)
class _Part:
    """A tensor of the new file: the one it is made of, what changes in its bytes, and how many belong together."""

    tensor: Tensor
    source: Tensor
    changes: tuple[Change, ...] = ()
    unit: int = 1


class Conversion:
    """What the converted copy of one file will be. Nothing is written before `write`."""

    def __init__(self, header: Header) -> None:
        """Raises BadInput for a file that is not of Ollama's layout."""
        if header.architecture != OLLAMA:
            raise BadInput(f"{header.path} is not in Ollama's layout: it says {header.architecture!r}, not {OLLAMA!r}")
        self._header = header
        self._parts = _placed([part for tensor in header.tensors for part in _parts(tensor)], header.alignment)
        self._beginning = _beginning(header, self._parts)
        ends = [padded(each.tensor.offset + each.tensor.size_bytes, header.alignment) for each in self._parts]
        self.size_bytes = len(self._beginning) + max(ends, default=0)

    def write(self, target: Path) -> Iterator[int]:
        """Write the file `target` and yield how many bytes are there so far; it is on the disk at the end.

        What is half-written when something fails is the caller's to remove. Raises OSError.
        """
        with self._header.path.open("rb") as source, target.open("wb") as file:
            file.write(self._beginning)
            for part in self._parts:
                start = self._header.data_start + part.source.offset
                for piece in _pieces(source, start, part):
                    file.write(piece)
                    yield file.tell()
                file.write(b"\0" * (padded(file.tell(), self._header.alignment) - file.tell()))
            file.flush()
            os.fsync(file.fileno())
        yield self.size_bytes


def origin(path: Path) -> str:
    """What a converted copy says of the file it is made of."""
    return f"{os.path.realpath(path)} {path.stat().st_size}"


def _pieces(source: Any, start: int, part: _Part) -> Iterator[bytes | memoryview]:
    """The bytes of one tensor, in pieces."""
    size = max(part.unit, BLOCK // part.unit * part.unit)
    buffer = memoryview(bytearray(min(size, part.source.size_bytes)))
    source.seek(start)
    left = part.source.size_bytes
    while left:
        count = source.readinto(buffer[: min(left, len(buffer))])
        if count % part.unit or not count:
            raise OSError(f"{source.name} ended while it was read")
        yield _changed(buffer[:count], part.changes) if part.changes else buffer[:count]
        left -= count


def _changed(piece: memoryview, changes: tuple[Change, ...]) -> bytes:
    import numpy  # imported late: most files need none of it

    array = numpy.frombuffer(piece, numpy.uint8)
    for change in changes:
        array = change(array)
    return bytes(array.tobytes())


def _parts(tensor: Tensor) -> list[_Part]:
    """What becomes of one tensor: mostly itself under another name."""
    if FUSED in tensor.name:
        shape = _halved(tensor)
        row_bytes = tensor.size_bytes // math.prod(tensor.shape[1:]) if ".weight" in tensor.name else _width(tensor)
        return [
            _retyped(
                _Part(
                    replace(tensor, name=tensor.name.replace(FUSED, name), shape=shape),
                    tensor,
                    (partial(_half, row_bytes, which),),
                    2 * row_bytes,
                )
            )
            for which, name in enumerate(HALVES)
        ]
    return [_retyped(_Part(replace(tensor, name=_name(tensor.name)), tensor))]


def _name(name: str) -> str:
    for old, new in RENAMED:
        name = name.replace(old, new)
    return f"{name}.weight" if name.endswith(".attn_sinks") else name


def _halved(tensor: Tensor) -> tuple[int, ...]:
    """The shape of gate or up: the rows of a weight, the elements of a bias."""
    axis = 1 if ".weight" in tensor.name else 0
    if len(tensor.shape) <= axis or tensor.shape[axis] % 2:
        raise BadInput(f"tensor {tensor.name!r} cannot be divided: it has the shape {tensor.shape}")
    return (*tensor.shape[:axis], tensor.shape[axis] // 2, *tensor.shape[axis + 1 :])


def _retyped(part: _Part) -> _Part:
    """llama.cpp adds in F32 only, and knows one order of nibbles."""
    kind, name = part.source.type, part.tensor.name
    if kind == "MXFP4_OLLAMA":
        return _with(part, "MXFP4", _reordered, 17)
    if kind in ("F16", "BF16") and (name.endswith(".bias") or "_norm." in name or "attn_sinks" in name):
        return _with(part, "F32", _half_to_float if kind == "F16" else _brain_to_float, 2)
    return _with(part, kind)


def _with(part: _Part, kind: str, change: Change | None = None, unit: int = 1) -> _Part:
    """`part` with a tensor of the type `kind`, and one change more."""
    _, per_block, block_bytes = next(each for each in TENSOR_TYPES.values() if each[0] == kind)
    size_bytes = math.prod(part.tensor.shape) // per_block * block_bytes
    return replace(
        part,
        tensor=replace(part.tensor, type=kind, size_bytes=size_bytes),
        changes=(*part.changes, change) if change else part.changes,
        unit=max(part.unit, unit),  # of a fused one, a pair of rows: a multiple of both
    )


def _half(row_bytes: int, which: int, array: Bytes) -> Bytes:
    """Every second row, from `which` on."""
    return array.reshape(-1, 2, row_bytes)[:, which].reshape(-1)


def _reordered(array: Bytes) -> Bytes:
    """MXFP4 blocks whose bytes hold elements 2i and 2i + 1, as ggml has them: elements i and i + 16."""
    blocks = array.reshape(-1, 17).copy()
    first, second = blocks[:, 1:9].copy(), blocks[:, 9:17].copy()
    blocks[:, 1::2] = (first & 0x0F) | (second << 4)
    blocks[:, 2::2] = (first >> 4) | (second & 0xF0)
    return blocks.reshape(-1)


def _half_to_float(array: Bytes) -> Bytes:
    return array.view("<f2").astype("<f4").view("u1")


def _brain_to_float(array: Bytes) -> Bytes:
    return (array.view("<u2").astype("<u4") << 16).view("u1")


def _placed(parts: list[_Part], alignment: int) -> list[_Part]:
    """Each after the one before, which is how llama.cpp wants them."""
    place, placed = 0, []
    for part in parts:
        placed.append(replace(part, tensor=replace(part.tensor, offset=place)))
        place += padded(part.tensor.size_bytes, alignment)
    return placed


def _beginning(header: Header, parts: list[_Part]) -> bytes:
    """All that comes before the tensors' bytes, padded."""
    values = _values(header)
    written = [struct.pack("<4sIQQ", MAGIC, VERSION, len(parts), len(values))]
    written += [_text(key) + value for key, value in values.items()]
    written += [_described(part.tensor) for part in parts]
    beginning = b"".join(written)
    return beginning.ljust(padded(len(beginning), header.alignment), b"\0")


def _values(header: Header) -> dict[str, bytes]:
    """Keys and raw values: those of the file, under llama.cpp's names, and what it does without."""
    values = {}
    for key in header.values:
        name = UPSTREAM + key.removeprefix(OLLAMA) if key.startswith(f"{OLLAMA}.") else key
        values[name] = header.raw(key)
    values["general.architecture"] = _value(UPSTREAM)
    values.setdefault("gpt-oss.rope.scaling.type", _value("yarn"))
    values["tokenizer.ggml.pre"] = _value("gpt-4o")
    if "gpt-oss.expert_feed_forward_length" not in values:
        values["gpt-oss.expert_feed_forward_length"] = struct.pack("<II", UINT32, _expert_width(header))
    values[ORIGIN] = _value(origin(header.path))
    return values


def _expert_width(header: Header) -> int:
    for tensor in header.tensors:
        if tensor.name == "blk.0.ffn_gate_exps.weight" and len(tensor.shape) == 3:
            return tensor.shape[1]
        if tensor.name == f"blk.0{FUSED}weight" and len(tensor.shape) == 3:
            return tensor.shape[1] // 2
    raise BadInput(f"{header.path} has no experts in its first block; Ollama may have changed its layout")


def _described(tensor: Tensor) -> bytes:
    number = next(number for number, (name, _, _) in TENSOR_TYPES.items() if name == tensor.type)
    lengths = tensor.shape
    return (
        _text(tensor.name)
        + struct.pack(f"<I{len(lengths)}Q", len(lengths), *lengths)
        + struct.pack("<IQ", number, tensor.offset)
    )


def _value(text: str) -> bytes:
    return struct.pack("<I", STRING) + _text(text)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _width(tensor: Tensor) -> int:
    """Bytes of one element."""
    return tensor.size_bytes // math.prod(tensor.shape)
