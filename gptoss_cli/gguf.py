"""A GGUF file's header: keys, tensors, sizes. Reads one file and believes nothing in it; knows no tensor's values.

The format is ggml's docs/gguf.md, versions 2 and 3.
"""

import math
import mmap
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gptoss_cli.errors import BadInput, ModelNotFound

MAGIC = b"GGUF"
DEFAULT_ALIGNMENT = 32
MOST_DIMENSIONS = 4  # ggml.h, GGML_MAX_DIMS
LONGEST_NAME = 65535  # of a key; docs/gguf.md
# what keeps memory bounded whatever a file claims; gpt-oss-120b has a header of 13 MB, 40 keys, 687 tensors and
# 446,189 merges
LARGEST_HEADER = 128 * 2**20
LONGEST_TEXT = 4 * 2**20  # of a value; a chat template has some 10 kB
MOST_ENTRIES = 65536
MOST_TEXTS = 4 * 2**20

STRING, ARRAY = 8, 9
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}

# tensor type -> (name, elements per block, bytes per block): ggml.h enum ggml_type, ggml-common.h
TENSOR_TYPES = {
    0: ("F32", 1, 4),
    1: ("F16", 1, 2),
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1),
    25: ("I16", 1, 2),
    26: ("I32", 1, 4),
    27: ("I64", 1, 8),
    28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56),
    30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
    42: ("Q2_0", 64, 18),
}
# 4 was taken out of ggml; Ollama's first gpt-oss files have it for MXFP4 with the nibbles in the order of the
# original checkpoint (github.com/ollama/ollama, ml/backend/ggml/ggml.go)
OLLAMA_TYPES = {4: ("MXFP4_OLLAMA", 32, 17)}

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Array:
    """An array that is read when it is asked for: where it begins in the file, and how many elements it has."""

    kind: int
    count: int
    start: int


Value = Scalar | Array


@dataclass(frozen=True)
class Tensor:
    """offset counts from the start of the data; shape has the fastest dimension first, as in the file."""

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    size_bytes: int


class Header:
    """What a GGUF says of itself. The file stays mapped while this object lives, for the arrays that are read late."""

    def __init__(self, path: Path, data: "mmap.mmap") -> None:
        self.path = path
        self._data = data
        reader = _Reader(path, data)
        self.version, n_tensors, n_values = reader.preamble()
        self.values: Mapping[str, Value] = dict(reader.pairs(n_values))
        self._extents = reader.extents
        alignment = self._alignment()
        self.tensors = tuple(reader.tensors(n_tensors, alignment))
        self.alignment = alignment
        self.data_start = padded(reader.place, alignment)
        self._check_extent()

    @classmethod
    def read(cls, path: Path) -> "Header":
        """The header of the file at `path`; well under a second for a vocabulary of 201,088 tokens.

        Raises ModelNotFound for a missing file, BadInput for one that is no GGUF or is damaged. Memory stays bounded
        whatever the file claims.
        """
        try:
            with path.open("rb") as file:
                beginning = file.read(8)
                if beginning[:4] != MAGIC:
                    beginning += file.read(64)
                    raise BadInput(f"{path} is not a GGUF file: it {_looks_like(beginning)}")
                return cls(path, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except FileNotFoundError:
            raise ModelNotFound(f"no file at {path}") from None
        except OSError as error:
            raise BadInput(f"{path} cannot be read: {error.strerror}") from error

    @property
    def architecture(self) -> str:
        return self.text("general.architecture")

    @property
    def quantization(self) -> str:
        """The type of number that most of the tensors' bytes are in: `MXFP4`; "" without tensors."""
        sizes: Counter[str] = Counter()
        for tensor in self.tensors:
            sizes[tensor.type] += tensor.size_bytes
        return max(sizes, key=lambda kind: sizes[kind], default="")

    def text(self, key: str) -> str:
        """The text at `key`, "" if there is none."""
        value = self.values.get(key, "")
        return value if isinstance(value, str) else ""

    def texts(self, key: str) -> list[str]:
        """The array of texts at `key`; empty if there is none. Raises BadInput for bytes that are no UTF-8."""
        value = self.values.get(key)
        if not isinstance(value, Array) or value.kind != STRING:
            return []
        unpack, data, place = struct.Struct("<Q").unpack_from, self._data, value.start
        found = []
        try:
            for _ in range(value.count):
                start = place + 8
                place = start + unpack(data, place)[0]
                found.append(data[start:place].decode())
        except UnicodeDecodeError:
            raise _damaged(self.path, f"text {len(found)} of {key} is no UTF-8") from None
        return found

    def numbers(self, key: str) -> list[int]:
        """The array of whole numbers at `key`. Empty if there is none."""
        value = self.values.get(key)
        if not isinstance(value, Array) or SCALARS.get(value.kind, "f") in "fd":
            return []
        return list(struct.unpack_from(f"<{value.count}{SCALARS[value.kind]}", self._data, value.start))

    def raw(self, key: str) -> bytes:
        """The value at `key` as it stands in the file, its type (4 bytes) first. KeyError if there is none."""
        start, end = self._extents[key]
        return self._data[start:end]

    def _alignment(self) -> int:
        value = self.values.get("general.alignment", DEFAULT_ALIGNMENT)
        if isinstance(value, bool) or not isinstance(value, int) or value <= 0 or value & (value - 1):
            raise _damaged(self.path, f"general.alignment is {value!r}, not a power of two")
        return value

    def _check_extent(self) -> None:
        end = max((each.offset + each.size_bytes for each in self.tensors), default=0) + self.data_start
        if self.tensors and end > len(self._data):
            raise BadInput(
                f"{self.path} is cut off: its tensors need {end:,} bytes and it has {len(self._data):,}",
                hint="download it again",
            )


class _Reader:
    """Goes through the header once; every length is checked against what is left of the file before it is used."""

    def __init__(self, path: Path, data: "mmap.mmap") -> None:
        self._path = path
        self._data = data
        self._end = min(len(data), LARGEST_HEADER)
        self.place = 4
        self.extents: dict[str, tuple[int, int]] = {}  # where each value begins, with its type, and ends

    def preamble(self) -> tuple[int, int, int]:
        (version,) = self._take("I")
        if version and version & 0xFFFF == 0:
            raise BadInput(f"{self._path} is a big-endian GGUF, which cannot be used here")
        if version not in (2, 3):
            raise BadInput(f"{self._path} has GGUF version {version}; versions 2 and 3 are known")
        n_tensors, n_values = self._take("QQ")
        for count, what in ((n_tensors, "tensors"), (n_values, "keys")):
            if count > MOST_ENTRIES:
                raise _damaged(self._path, f"{count:,} {what}; gpt-oss has some hundred")
        return version, n_tensors, n_values

    def pairs(self, count: int) -> Iterator[tuple[str, Value]]:
        seen = set()
        for _ in range(count):
            key = self._text()
            if key in seen:
                raise self._damaged(f"the key {key!r} occurs twice")
            seen.add(key)
            start = self.place
            (kind,) = self._take("I")
            value = self._value(kind, key)
            self.extents[key] = (start, self.place)
            yield key, value

    def tensors(self, count: int, alignment: int) -> Iterator[Tensor]:
        seen = set()
        for _ in range(count):
            tensor = self._tensor()
            if tensor.name in seen:
                raise self._damaged(f"there are two tensors {tensor.name!r}")
            if tensor.offset % alignment:
                raise self._damaged(f"tensor {tensor.name!r} is at {tensor.offset:,}, no multiple of {alignment}")
            seen.add(tensor.name)
            yield tensor

    def _tensor(self) -> Tensor:
        name = self._text()
        (n_dims,) = self._take("I")
        if not 1 <= n_dims <= MOST_DIMENSIONS:
            raise self._damaged(f"tensor {name!r} has {n_dims:,} dimensions")
        shape = self._take(f"{n_dims}Q")
        kind, offset = self._take("IQ")
        known = TENSOR_TYPES.get(kind) or OLLAMA_TYPES.get(kind)
        if not known:
            raise BadInput(f"{self._path}: tensor {name!r} has the unknown type {kind}")
        type_name, per_block, block_bytes = known
        elements = math.prod(shape)
        if elements >= 2**63:
            raise self._damaged(f"tensor {name!r} has {' x '.join(map(str, shape))} elements")
        if shape[0] % per_block:
            raise self._damaged(f"tensor {name!r} has rows of {shape[0]:,}, not a multiple of {per_block}")
        return Tensor(name, shape, type_name, offset, elements // per_block * block_bytes)

    def _value(self, kind: int, key: str) -> Value:
        if kind == STRING:
            return self._text(LONGEST_TEXT, "text")
        if kind == ARRAY:
            return self._array(key)
        if kind not in SCALARS:
            raise self._damaged(f"the value of {key!r} has the unknown type {kind}")
        value: Scalar = self._take(SCALARS[kind])[0]
        return value

    def _array(self, key: str) -> Array:
        kind, count = self._take("IQ")
        if kind == STRING:
            self._check_count(count, 8, f"texts in {key}")
            if count > MOST_TEXTS:
                raise self._damaged(f"{count:,} texts in {key}")
            array = Array(kind, count, self.place)
            self._skip_texts(count)
            return array
        if kind not in SCALARS:
            what = "arrays" if kind == ARRAY else f"the unknown type {kind}"
            raise self._damaged(f"{key!r} is an array of {what}")
        size = struct.calcsize(f"<{SCALARS[kind]}")
        self._check_count(count, size, f"numbers in {key}")
        array = Array(kind, count, self.place)
        self.place += count * size
        return array

    def _skip_texts(self, count: int) -> None:
        # 650,000 times in a real file: local names, no function calls
        unpack, data, place = struct.Struct("<Q").unpack_from, self._data, self.place
        try:
            for _ in range(count):
                place += 8 + unpack(data, place)[0]
        except (struct.error, OverflowError):  # a length that leads past the file, or past what an index can be
            place = self._end + 1
        if place > self._end:
            raise self._ends("a list of texts")
        self.place = place

    def _text(self, longest: int = LONGEST_NAME, what: str = "name") -> str:
        (length,) = self._take("Q")
        if length > self._end - self.place:
            raise self._ends(f"a {what} of {length:,} bytes")
        if length > longest:
            raise self._damaged(f"a {what} of {length:,} bytes")
        text = self._data[self.place : self.place + length]
        self.place += length
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise self._damaged(f"a text that is no UTF-8 at byte {self.place - length:,}") from None

    def _take(self, kinds: str) -> tuple[int, ...]:
        size = struct.calcsize(f"<{kinds}")
        if size > self._end - self.place:
            raise self._ends("a number")
        values = struct.unpack_from(f"<{kinds}", self._data, self.place)
        self.place += size
        return values

    def _check_count(self, count: int, least_bytes: int, what: str) -> None:
        if count * least_bytes > self._end - self.place:
            raise self._ends(f"{count:,} {what}")

    def _ends(self, what: str) -> BadInput:
        """The error for something that does not end within the file, or within any header there can be."""
        if len(self._data) > LARGEST_HEADER:
            return self._damaged(f"{what} at byte {self.place:,} of its header")
        return BadInput(
            f"{self._path} is cut off or damaged: {what} at byte {self.place:,}, and the file has {len(self._data):,}",
            hint="download it again",
        )

    def _damaged(self, what: str) -> BadInput:
        return _damaged(self._path, what)


def _damaged(path: Path, what: str) -> BadInput:
    return BadInput(f"{path} is damaged: {what}", hint="download it again")


# how files begin that are mistaken for a GGUF
BEGINNINGS = {
    b"": "is empty",
    b"version https://git-lfs": "is a Git LFS pointer, not the file it stands for (git lfs pull)",
    b"<!DOCTYPE": "is a web page",
    b"<!doctype": "is a web page",
    b"<html": "is a web page",
    b"PK\x03\x04": "is a ZIP archive, or PyTorch weights",
    b"\x1f\x8b": "is compressed with gzip",
    b"\xfd7zXZ": "is compressed with xz",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd",
    b"lmgg": "is in an older format (GGML)",
    b"fmgg": "is in an older format (GGMF)",
    b"tjgg": "is in an older format (GGJT)",
}


def _looks_like(beginning: bytes) -> str:
    for start, what in BEGINNINGS.items():
        if beginning.startswith(start) and (start or not beginning):
            return what
    if beginning[8:10] in (b'{"', b"{ "):  # eight bytes of length, then JSON
        return "is a safetensors file"
    text = beginning[:8].decode("ascii", errors="replace")
    return f"begins with {text!r}" if text.isprintable() and text.isascii() else f"begins with {beginning[:8].hex(' ')}"


def padded(size: int, alignment: int) -> int:
    """The next multiple of `alignment`."""
    return -(-size // alignment) * alignment
