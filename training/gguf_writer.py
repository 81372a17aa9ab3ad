"""Writes a GGUF file from plain values and numpy arrays. Knows the container (ggml's docs/gguf.md), not the model."""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

import numpy as np

ALIGNMENT = 32


class TensorType(IntEnum):
    """ggml/include/ggml.h, enum ggml_type."""

    F32 = 0
    F16 = 1
    Q8_0 = 8
    MXFP4 = 39


# elements per block and bytes per block: ggml/src/ggml-common.h
BLOCKS = {
    TensorType.F32: (1, 4),
    TensorType.F16: (1, 2),
    TensorType.Q8_0: (32, 34),
    TensorType.MXFP4: (32, 17),
}


@dataclass(frozen=True)
class Tensor:
    """Raw bytes of a tensor; shape in numpy's order, the fastest dimension last."""

    name: str
    shape: tuple[int, ...]
    type: TensorType
    data: bytes | memoryview = b""

    @property
    def size_bytes(self) -> int:
        per_block, block_bytes = BLOCKS[self.type]
        count = 1
        for length in self.shape:
            count *= length
        return count // per_block * block_bytes


Value = bool | int | float | str | list[str] | list[int] | list[float]


def write(path: Path, metadata: Mapping[str, Value], tensors: Iterable[Tensor]) -> None:
    """The file at `path`. An int becomes uint32, a float float32, a list of ints int32."""
    listed = list(tensors)
    with path.open("wb") as file:
        _write_header(file, metadata, listed)
        for tensor in listed:
            assert len(memoryview(tensor.data).cast("B")) == tensor.size_bytes, tensor.name
            file.write(tensor.data)
            file.write(b"\0" * (_padded(tensor.size_bytes) - tensor.size_bytes))


def write_hollow(path: Path, metadata: Mapping[str, Value], tensors: Iterable[Tensor]) -> None:
    """The same with a hole in place of the tensors' data: any size, at once, and next to nothing on the disk."""
    listed = list(tensors)
    with path.open("wb") as file:
        _write_header(file, metadata, listed)
        file.truncate(file.tell() + sum(_padded(tensor.size_bytes) for tensor in listed))


def _write_header(file: BinaryIO, metadata: Mapping[str, Value], tensors: Sequence[Tensor]) -> None:
    file.write(struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata)))
    for key, value in metadata.items():
        file.write(_text(key) + b"".join(_value(value)))
    offset = 0
    for tensor in tensors:
        file.write(_tensor_info(tensor, offset))
        offset += _padded(tensor.size_bytes)
    file.write(b"\0" * (_padded(file.tell()) - file.tell()))


def _text(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _value(value: Value) -> Iterator[bytes]:
    match value:
        case bool():
            yield struct.pack("<I?", 7, value)
        case int():
            yield struct.pack("<II", 4, value)
        case float():
            yield struct.pack("<If", 6, value)
        case str():
            yield struct.pack("<I", 8) + _text(value)
        case list() if value and isinstance(value[0], str):
            yield struct.pack("<IIQ", 9, 8, len(value))
            yield b"".join(_text(str(each)) for each in value)
        case list() if value and isinstance(value[0], float):
            yield struct.pack("<IIQ", 9, 6, len(value)) + np.array(value, np.float32).tobytes()
        case list():
            yield struct.pack("<IIQ", 9, 5, len(value)) + np.array(value, np.int32).tobytes()


def _tensor_info(tensor: Tensor, offset: int) -> bytes:
    lengths = tensor.shape[::-1]
    return (
        _text(tensor.name)
        + struct.pack("<I", len(lengths))
        + struct.pack(f"<{len(lengths)}Q", *lengths)
        + struct.pack("<IQ", tensor.type, offset)
    )


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
