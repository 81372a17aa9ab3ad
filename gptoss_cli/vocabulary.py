"""The tokenizer of a weights file or of a rank file; the second start is quick. Knows files, not chats."""

import base64
import hashlib
import json
import os
import re
import struct
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gptoss_cli.errors import BadInput, ModelNotFound
from gptoss_cli.gguf import MAGIC, Header
from gptoss_cli.harmony.tokenizer import (
    O200K_BASE_SHA256,
    O200K_HARMONY_SIZE,
    O200K_HARMONY_SPECIALS,
    Tokenizer,
)

# token types in tokenizer.ggml.token_type: llama.h, enum llama_token_type
NORMAL, CONTROL, USER_DEFINED = 1, 3, 4
CONTROL_TEXT = re.compile(r"<\|\w+\|>")  # no ordinary token of o200k_base looks like it

# a rank file is known by its sha256; o200k_base.tiktoken has 3.6 MB
LARGEST_RANK_FILE = 16 * 2**20

CACHE_MAGIC = b"GPTOSSV1"
WORTH_KEEPING = 20_000  # tokens; a smaller vocabulary is read as quickly from the model


@dataclass(frozen=True)
class _Words:
    """What a tokenizer is made of."""

    pieces: Sequence[bytes]  # b"" where an id is no text
    specials: dict[str, int]
    n_vocab: int


def load(path: Path, cache: Path | None = None) -> Tokenizer:
    """The tokenizer of a GGUF, or of `o200k_base.tiktoken` with the standard ids of o200k_harmony.

    cache: a folder that keeps the tokens of a large vocabulary, so that reading them takes a third of the time from
    then on; it is made if need be, and whatever is wrong with it is ignored. Raises ModelNotFound, BadInput.
    """
    identity = _identity(path)
    # one file per path: a model that is replaced does not leave its old tokens behind
    kept = cache / "vocabulary" / f"{_sha256(identity[0])[:32]}.bin" if cache else None
    words = _from_cache(kept, _sha256(*identity)) if kept else None
    if words is None:
        words = _read(path)
        if kept and len(words.pieces) > WORTH_KEEPING:
            _to_cache(kept, _sha256(*identity), words)
    return Tokenizer(words.pieces, words.specials, words.n_vocab)


def _identity(path: Path) -> tuple[str, int, int, int]:
    """What changes when the file does, without reading it."""
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelNotFound(f"no file at {path}") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    return str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino


def _sha256(*values: object) -> str:
    return hashlib.sha256(repr(values).encode(errors="surrogatepass")).hexdigest()


def _read(path: Path) -> _Words:
    try:
        with path.open("rb") as file:
            beginning = file.read(len(MAGIC))
            rest = b"" if beginning == MAGIC else file.read(LARGEST_RANK_FILE)
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    return _from_gguf(Header.read(path)) if beginning == MAGIC else _from_ranks(path, beginning + rest)


def _from_gguf(header: Header) -> _Words:
    kind = header.text("tokenizer.ggml.model")
    texts = header.texts("tokenizer.ggml.tokens")
    if not texts:
        raise BadInput(f"{header.path} has no vocabulary")
    if kind != "gpt2":
        raise BadInput(f"{header.path} has a vocabulary of the kind {kind!r}; gpt-oss has gpt2 (byte-level BPE)")
    types = header.numbers("tokenizer.ggml.token_type") or [NORMAL] * len(texts)
    if len(types) != len(texts):
        raise BadInput(f"{header.path} is damaged: {len(texts):,} tokens and {len(types):,} token types")
    table = {ord(letter): byte for byte, letter in enumerate(byte_letters())}
    pieces: list[bytes] = []
    specials: dict[str, int] = {}
    for id, (text, type) in enumerate(zip(texts, types, strict=True)):
        # what is written like a control token is one, whatever the file says of it: text must never become it
        if type in (CONTROL, USER_DEFINED) or CONTROL_TEXT.fullmatch(text):
            specials.setdefault(text, id)
            pieces.append(b"")
        else:
            pieces.append(_bytes(text, table) if type == NORMAL else b"")
    return _Words(pieces, specials, len(texts))


def byte_letters() -> list[str]:
    """How a GPT-2 vocabulary writes each byte: as itself when it is printable, else as a letter from U+0100 on.

    openai/gpt-2 src/encoder.py, bytes_to_unicode.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def _bytes(text: str, table: dict[int, int]) -> bytes:
    try:
        return text.translate(table).encode("latin-1")
    except UnicodeEncodeError:  # not in that alphabet: a token that no text can be
        return b""


def _from_ranks(path: Path, data: bytes) -> _Words:
    """tiktoken's rank file: a token in base64, a blank, its rank; one per line, in order."""
    if hashlib.sha256(data).hexdigest() != O200K_BASE_SHA256:
        raise BadInput(
            f"{path} is neither a GGUF nor o200k_base.tiktoken",
            hint=f"the rank file of gpt-oss has the sha256 {O200K_BASE_SHA256}",
        )
    pieces = [base64.b64decode(line.split()[0]) for line in data.splitlines()]
    return _Words(pieces, dict(O200K_HARMONY_SPECIALS), O200K_HARMONY_SIZE)


# The cache: CACHE_MAGIC, crc32 of the rest, length of a JSON, the JSON, the tokens' lengths as uint16, the tokens.
# Plain data: a file that somebody else put there can be wrong, but it cannot run anything.


def _from_cache(path: Path, identity: str) -> _Words | None:
    try:
        data = path.read_bytes()
        (checksum,) = struct.unpack_from("<I", data, len(CACHE_MAGIC))
        body = memoryview(data)[len(CACHE_MAGIC) + 4 :]
        if not data.startswith(CACHE_MAGIC) or zlib.crc32(body) != checksum:
            return None
        return _unpacked(body, identity)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, struct.error):
        return None


def _unpacked(body: memoryview, identity: str) -> _Words | None:
    (length,) = struct.unpack_from("<I", body)
    told = json.loads(bytes(body[4 : 4 + length]))
    if told["identity"] != identity:
        return None
    lengths = struct.unpack_from(f"<{int(told['count'])}H", body, 4 + length)
    tokens = bytes(body[4 + length + 2 * len(lengths) :])
    if sum(lengths) != len(tokens):
        return None
    pieces, start = [], 0
    for size in lengths:
        pieces.append(tokens[start : start + size])
        start += size
    return _Words(pieces, {str(text): int(id) for text, id in told["specials"].items()}, int(told["n_vocab"]))


def _to_cache(path: Path, identity: str, words: _Words) -> None:
    if max(map(len, words.pieces)) > 0xFFFF:
        return  # no vocabulary that was learnt
    told = {
        "identity": identity,
        "count": len(words.pieces),
        "specials": words.specials,
        "n_vocab": words.n_vocab,
    }
    text = json.dumps(told).encode()
    lengths = struct.pack(f"<{len(words.pieces)}H", *map(len, words.pieces))
    body = struct.pack("<I", len(text)) + text + lengths + b"".join(words.pieces)
    with suppress(OSError):  # slower next time, nothing worse
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_whole(path, CACHE_MAGIC + struct.pack("<I", zlib.crc32(body)) + body)


def _write_whole(path: Path, data: bytes) -> None:
    """Under another name first, then renamed: a reader sees the old file or the new one."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise
