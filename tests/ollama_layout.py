"""The built-in model as Ollama keeps a gpt-oss: its layout of a GGUF, and its folders of blobs and manifests."""

import hashlib
import json
import struct
from pathlib import Path

import numpy as np

from gptoss_cli.gguf import Header, padded

TINY = Path(__file__).parent.parent / "gptoss_cli/models/tiny.gguf"
OMITTED = ("gpt-oss.expert_feed_forward_length", "gpt-oss.rope.scaling.type")
NAMES = (
    (".attn_output.", ".attn_out."),
    (".post_attention_norm.", ".ffn_norm."),
    (".attn_sinks.weight", ".attn_sinks"),
)
NUMBERS = {"F32": 0, "Q8_0": 8, "MXFP4": 39, "BF16": 30, "OLLAMA": 4}

Row = tuple[str, tuple[int, ...], str, bytes]


def write_blob(path: Path, *, first: bool = False, source: Path = TINY) -> Path:
    """A model, the built-in one, in Ollama's layout, in that of its first files on request."""
    header = Header.read(source)
    values = {key.replace("gpt-oss.", "gptoss."): header.raw(key) for key in header.values if key not in OMITTED} | {
        "general.architecture": text_value("gptoss"),
        "tokenizer.ggml.pre": text_value("default"),
    }
    data = source.read_bytes()[header.data_start :]
    rows: list[Row] = [
        (renamed(each.name), each.shape, each.type, data[each.offset : each.offset + each.size_bytes])
        for each in header.tensors
    ]
    write_gguf(path, values, as_at_first(rows) if first else rows)
    return path


def renamed(name: str) -> str:
    for upstream, ollama in NAMES:
        name = name.replace(upstream, ollama)
    return name


def as_at_first(rows: list[Row]) -> list[Row]:
    """Gate and up in one tensor, row by row; MXFP4 in the order of the checkpoint; biases of the experts in BF16."""
    found = {row[0]: row for row in rows}
    changed: list[Row] = []
    for name, shape, kind, data in rows:
        if "_up_exps" in name:
            continue
        if "_gate_exps" in name:
            other = found[name.replace("gate", "up")][3]
            count = int(np.prod(shape[1:] if "weight" in name else shape))
            pair = [np.frombuffer(each, np.uint8).reshape(count, -1) for each in (data, other)]
            data = np.stack(pair, axis=1).tobytes()
            axis = 1 if "weight" in name else 0
            shape = (*shape[:axis], 2 * shape[axis], *shape[axis + 1 :])
            name = name.replace("gate", "gate_up")
        if kind == "MXFP4":
            kind, data = "OLLAMA", in_pairs(data)
        elif "_exps.bias" in name:
            kind, data = "BF16", (np.frombuffer(data, np.uint32) >> 16).astype(np.uint16).tobytes()
        changed.append((name, shape, kind, data))
    return changed


def in_pairs(data: bytes) -> bytes:
    """MXFP4 blocks of ggml (elements i and i + 16 in a byte), with elements 2i and 2i + 1 in a byte."""
    blocks = np.frombuffer(data, np.uint8).reshape(-1, 17)
    elements = np.concatenate([blocks[:, 1:] & 15, blocks[:, 1:] >> 4], axis=1)
    return np.concatenate([blocks[:, :1], elements[:, 0::2] | elements[:, 1::2] << 4], axis=1).tobytes()


def write_gguf(path: Path, values: dict[str, bytes], rows: list[Row]) -> None:
    """values: with their types, as they stand in a file."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(rows), len(values))
    head += b"".join(text(key) + value for key, value in values.items())
    offset, body = 0, b""
    for name, shape, kind, data in rows:
        head += text(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        head += struct.pack("<IQ", NUMBERS[kind], offset)
        body += data.ljust(padded(len(data), 32), b"\0")
        offset = len(body)
    path.write_bytes(head.ljust(padded(len(head), 32), b"\0") + body)


def write_split(folder: Path, name: str) -> Path:
    """The built-in model in two parts, as llama.cpp's gguf-split makes them; the first one."""
    header = Header.read(TINY)
    data = TINY.read_bytes()[header.data_start :]
    rows: list[Row] = [
        (each.name, each.shape, each.type, data[each.offset : each.offset + each.size_bytes]) for each in header.tensors
    ]
    half = len(rows) // 2
    for part, some in enumerate((rows[:half], rows[half:])):
        values = {key: header.raw(key) for key in header.values} if part == 0 else {}
        values |= {"split.no": struct.pack("<IH", 2, part), "split.count": struct.pack("<IH", 2, 2)}
        values["split.tensors.count"] = struct.pack("<Ii", 5, len(rows))
        write_gguf(folder / f"{name}-{part + 1:05}-of-00002.gguf", values, some)
    return folder / f"{name}-00001-of-00002.gguf"


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def text_value(value: str) -> bytes:
    return struct.pack("<I", 8) + text(value)


def pulled(models: Path, name: str = "library/gpt-oss/20b", *, weights: Path | None = None, **layers: str) -> Path:
    """Put a model into the folder of Ollama's models, as a pull does; the blob of its weights.

    name: NAMESPACE/MODEL/TAG, of registry.ollama.ai, or with a host before it. layers: system, params, license, ...
    """
    blobs = models / "blobs"
    blobs.mkdir(parents=True, exist_ok=True)
    data = (weights or write_blob(blobs / "new")).read_bytes()
    listed = [put(blobs, "model", data), *(put(blobs, kind, content.encode()) for kind, content in layers.items())]
    host = "" if name.count("/") == 3 else "registry.ollama.ai/"
    manifest = models / "manifests" / f"{host}{name}"
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "config": {}, "layers": listed}))
    (blobs / "new").unlink(missing_ok=True)
    return blobs / str(listed[0]["digest"]).replace(":", "-")


def put(blobs: Path, kind: str, data: bytes) -> dict[str, object]:
    digest = hashlib.sha256(data).hexdigest()
    (blobs / f"sha256-{digest}").write_bytes(data)
    kind = f"application/vnd.ollama.image.{kind}"
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}
