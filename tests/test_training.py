"""Training's own parts: the number format, the vocabulary and the exporter, against llama.cpp."""

import ctypes
import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from gptoss_cli import gguf, vocabulary, weights
from gptoss_cli.engine import binding
from training import bpe, mxfp4
from training.export import export, q8
from training.gguf_writer import TensorType
from training.parts import RECORD, VOCABULARY, WEIGHTS, join
from training.restore import restore
from training.rows import repeated
from training.shape import Shape

TINY = Path(__file__).parent.parent / "gptoss_cli/models/tiny.gguf"
SMALL = Shape(vocabulary=300, hidden=64, heads=4, kv_heads=2, head_dim=16, experts=4, expert_width=32)


def _read_by_ggml(kind: TensorType, data: bytes, count: int) -> np.ndarray:
    """The floats that ggml itself makes of a tensor's bytes."""

    class Traits(ctypes.Structure):  # ggml/include/ggml.h, struct ggml_type_traits
        _fields_ = (
            ("type_name", ctypes.c_char_p),
            ("blck_size", ctypes.c_int64),
            ("blck_size_interleave", ctypes.c_int64),
            ("type_size", ctypes.c_size_t),
            ("is_quantized", ctypes.c_bool),
            ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
        )

    find = binding.api()._lib.ggml_get_type_traits
    find.restype = ctypes.POINTER(Traits)
    out = np.empty(count, np.float32)
    find(int(kind)).contents.to_float(data, out.ctypes.data, count)
    return out


def test_mxfp4_is_read_by_ggml_as_it_was_meant() -> None:
    values = np.random.default_rng(1).normal(0, 0.3, (8, 256)).astype(np.float32)
    values[0, :32] = 0
    exponents, codes = mxfp4.quantize(values)
    meant = mxfp4.dequantize(exponents, codes)
    read = _read_by_ggml(TensorType.MXFP4, mxfp4.pack(exponents, codes), values.size)
    np.testing.assert_array_equal(read.reshape(values.shape), meant)
    assert np.abs(meant - values).mean() < 0.12 * np.abs(values).mean()


def test_what_mxfp4_can_hold_is_kept_exactly() -> None:
    block = np.concatenate([mxfp4.VALUES, -mxfp4.VALUES, mxfp4.VALUES, -mxfp4.VALUES]).astype(np.float32)
    values = np.stack([block, block * 2.0**-9, block * 2.0**20])
    np.testing.assert_array_equal(mxfp4.rounded(values), values)


def test_q8_0_is_read_by_ggml_within_half_a_step() -> None:
    values = np.random.default_rng(2).normal(0, 1, (4, 96)).astype(np.float32)
    read = _read_by_ggml(TensorType.Q8_0, bytes(q8("x", values).data), values.size).reshape(values.shape)
    step = np.abs(values.reshape(-1, 32)).max(1).repeat(32).reshape(values.shape) / 127
    assert (np.abs(read - values) <= step * 0.51 + 1e-3).all()


def test_a_learnt_vocabulary_encodes_as_it_was_learnt() -> None:
    pieces = bpe.learn(["low lower lowest " * 20, "新的 新的 預設 " * 20], 290)
    assert pieces[:256] == [bytes([byte]) for byte in range(256)]
    assert len(set(pieces)) == len(pieces)
    assert b"low" in pieces
    assert "新的".encode() in [piece.strip() for piece in pieces]
    for piece, (left, right) in zip(pieces[256:], bpe.merges(pieces), strict=True):
        assert left + right == piece
        assert pieces.index(left) < pieces.index(piece) > pieces.index(right), "merged in the order of the ranks"


def test_a_name_is_the_same_tokens_wherever_it_stands() -> None:
    texts = ["I am Ann", 'say "Ann"', "Ann is here", "(Ann)", "我是小明", "「小明」", ' "the end', "at the end"] * 20
    pieces = bpe.learn(texts, 300)
    assert b"Ann" in pieces
    assert b" the" in pieces
    assert not [piece for piece in pieces[256:] if piece[:1] in b'"(' and piece[1:].isalpha()]
    assert not [piece for piece in pieces[256:] if piece[:1] == b" " and piece[1:2].isupper()]
    assert not [piece for piece in pieces if piece.startswith("「".encode()) and len(piece) > 3]


def test_an_exported_model_is_read_back_as_it_was_rounded(tmp_path: Path) -> None:
    weights, pieces, shape = restore(TINY)
    words = vocabulary.load(TINY)
    assert pieces == [words.piece(id) for id in range(words.n_vocab - len(words.specials))]
    assert {each.size for name, each in weights.items() if name.endswith("experts.down")} == {8 * 256 * 256}
    export(weights, pieces, shape, tmp_path / "again.gguf")
    again, *rest = restore(tmp_path / "again.gguf")
    assert rest == [pieces, shape]
    assert again.keys() == weights.keys()
    for name, each in again.items():
        np.testing.assert_allclose(each, weights[name], rtol=0, atol=0.005 * np.abs(weights[name]).max(), err_msg=name)


def _part(folder: Path, weights: bytes, pieces: bytes, minutes: float) -> Path:
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(weights)
    (folder / VOCABULARY).write_bytes(pieces)
    told = {"minutes": minutes, "tokens": 10, "loss": [[5, minutes]], "parameters": 7}
    (folder / RECORD).write_text(json.dumps(told))
    return folder


def test_the_last_part_is_the_model_and_all_are_told(tmp_path: Path) -> None:
    parts = [_part(tmp_path / name, name.encode(), b"x", minutes) for name, minutes in (("a", 1.0), ("b", 3.0))]
    join(parts, tmp_path / "out")
    assert (tmp_path / "out" / WEIGHTS).read_bytes() == b"b"
    assert (tmp_path / "out" / VOCABULARY).read_bytes() == b"x"
    told = json.loads((tmp_path / "out" / RECORD).read_text())
    assert told == {"minutes": 4.0, "tokens": 20, "loss": [[5, 1.0], [15, 3.0]], "parameters": 7}
    with pytest.raises(ValueError, match="different vocabularies"):
        join([*parts, _part(tmp_path / "other", b"", b"y", 1.0)], tmp_path / "out")


@pytest.mark.soak
def test_the_mean_of_two_models_lies_between_them(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is only needed for training: pip install --group training")
    from training.average import average

    for name, value in ("a", 1.0), ("b", 3.0):
        _part(tmp_path / name, b"", b"x", 1.0)
        torch.save({"head": torch.full((2, 2), value)}, tmp_path / name / WEIGHTS)
    average(tmp_path / "a", tmp_path / "b", tmp_path / "mean", 0.75)
    assert torch.equal(torch.load(tmp_path / "mean" / WEIGHTS)["head"], torch.full((2, 2), 2.5))
    other = _part(tmp_path / "other", b"", b"y", 1.0)
    with pytest.raises(ValueError, match="different vocabularies"):
        average(tmp_path / "a", other, tmp_path / "mean", 0.5)


@pytest.mark.soak
def test_the_first_weights_copy_already() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is only needed for training: pip install --group training")
    from training import induction
    from training.model import GptOss

    torch.manual_seed(4)
    torch.set_num_threads(1)
    model = GptOss(Shape(vocabulary=1000))
    ids, weights = repeated(Random(5), 1000)
    row, asked = torch.tensor([ids]), torch.tensor(weights)[1:] > 0

    def copied() -> float:
        with torch.no_grad():
            said = model.head(model(row[:, :-1])[0][0][asked]).argmax(-1)
        return float((said == row[0, 1:][asked]).float().mean())

    assert copied() < 0.05
    induction.prepare(model)
    assert copied() > 0.7


@pytest.mark.soak
def test_a_text_in_a_row_with_others_is_read_as_if_alone() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is only needed for training: pip install --group training")
    from training.model import GptOss, Span

    torch.manual_seed(6)
    torch.set_num_threads(1)
    model = GptOss(SMALL)
    shared, first, second = (torch.randint(300, (count,)) for count in (150, 40, 20))
    spans = [Span(0, 0, 0, 150), Span(0, 150, 150, 190), Span(0, 150, 190, 210)]
    with torch.no_grad():
        together = model(torch.cat([shared, first, second])[None], spans)[0][0]
        for own, start in ((first, 150), (second, 190)):
            alone = model(torch.cat([shared, own])[None])[0][0]
            torch.testing.assert_close(together[start : start + len(own)], alone[150:], rtol=0, atol=1e-4)


@pytest.mark.soak
def test_pytorch_and_llama_cpp_compute_the_same(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is only needed for training: pip install --group training")
    from training.compare import difference, rounded_model
    from training.model import GptOss

    torch.manual_seed(3)
    torch.set_num_threads(1)
    drawn = GptOss(SMALL).state_dict()
    # as initialised, biases and sinks are zero and norms one: what is missing would not be missed
    drawn = {name: each + 0.1 * torch.randn_like(each) if each.ndim == 1 else each for name, each in drawn.items()}
    pieces = [bytes([byte]) for byte in range(256)] + [bytes([byte, byte]) for byte in range(35)]
    path = tmp_path / "model.gguf"
    export({name: each.numpy() for name, each in drawn.items()}, pieces, SMALL, path)
    weights.check_usable(gguf.Header.read(path))
    model = rounded_model(drawn, SMALL)
    for length in (1, 127, 129, 300):  # the window has 128
        ids = [int(id) for id in np.random.default_rng(length).integers(0, len(pieces), length)]
        worst, spread = difference(model, path, ids)
        assert worst < 0.05 * spread


TRAINED = """
import sys
from pathlib import Path
from training import train
train.SAVE_EVERY = 3
plan = train.Plan(int(sys.argv[2]), begin=Path(sys.argv[3]))
train.train(plan, Path(sys.argv[1]), resume="resume" in sys.argv)
"""


@pytest.mark.soak
def test_a_training_that_was_interrupted_makes_the_same_model(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is only needed for training: pip install --group training")
    import torch

    def trained(*arguments: str) -> dict[str, Any]:
        line = [sys.executable, "-c", TRAINED, str(tmp_path), *arguments]
        subprocess.run(line, cwd=TINY.parent.parent.parent, check=True, timeout=200)
        return json.loads((tmp_path / "training.json").read_text())  # type: ignore[no-any-return]

    whole = trained("8", str(TINY))
    weights = torch.load(tmp_path / WEIGHTS, weights_only=True)
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 6
    assert trained("8", "none.gguf", "resume") == whole, "it had ended"
    (tmp_path / RECORD).unlink()
    (tmp_path / WEIGHTS).unlink()
    again = trained("8", "none.gguf", "resume")  # what it began with is not needed any more
    assert again["tokens"] == whole["tokens"]
    assert again["loss"] == whole["loss"]
    resumed = torch.load(tmp_path / WEIGHTS, weights_only=True)
    assert resumed.keys() == weights.keys()
    assert all(torch.equal(resumed[name], each) for name, each in weights.items())
