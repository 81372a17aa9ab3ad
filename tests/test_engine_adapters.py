"""LoRAs on the real llama.cpp: none that is zero changes anything, one that is not does, in every context."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from conftest import TINY
from lora import METADATA, write_lora

from gptoss_cli.engine import Enough, Token, binding
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.errors import BadInput, EngineError, ModelNotFound
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Prompt
from training.gguf_writer import write

PROMPT = tuple((place * 7 + 3) % 2500 for place in range(40))
# other portions of a prompt make other kernels round; see test_engine_llama.py
NOISE = 0.15
SEEN = Sampling(temperature=0, logprobs=20)


def said(engine: LlamaEngine, take: int = 8, prompt: Sequence[int] = PROMPT, room: int = 0) -> list[Token]:
    """The first tokens, with the likeliest alternatives to each."""
    generation = engine.generate(Prompt(tuple(prompt), room=room), SEEN)
    tokens: list[Token] = []
    try:
        while True:
            item = generation.throw(Enough()) if len(tokens) >= take else next(generation)
            if isinstance(item, Token):
                tokens.append(item)
    except StopIteration:
        return tokens


def with_loras(*paths: Path, take: int = 8) -> list[Token]:
    with closing(LlamaEngine(TINY, adapters=paths)) as engine:
        return said(engine, take)


def test_a_lora_of_zero_changes_nothing_and_another_does(tmp_path: Path) -> None:
    plain = with_loras()
    zero, strong = write_lora(tmp_path / "zero.gguf", 0.0), write_lora(tmp_path / "strong.gguf", 0.5)
    assert with_loras(zero) == plain
    changed = with_loras(strong)
    assert [each.id for each in changed] != [each.id for each in plain]
    assert with_loras(zero, strong) == changed
    assert with_loras(write_lora(tmp_path / "twice.gguf", 0.5, **{"adapter.lora.alpha": 16.0})) != changed


def test_a_context_that_grows_keeps_the_lora(tmp_path: Path) -> None:
    """The state of a prompt is carried into a longer context; a new engine says the same of all of it."""
    lora = write_lora(tmp_path / "a.gguf", 0.02)
    longer = (*PROMPT, *PROMPT[:8])
    with closing(LlamaEngine(TINY, adapters=(lora,))) as growing:
        said(growing, 1)
        before = growing.info.n_ctx
        (grown,) = said(growing, 1, longer, room=before)
        assert growing.info.n_ctx > before
    with closing(LlamaEngine(TINY, adapters=(lora,))) as whole:
        (expected,) = said(whole, 1, longer)
    with closing(LlamaEngine(TINY)) as without:
        (plain,) = said(without, 1, longer)
    assert difference(grown, expected) < NOISE < difference(grown, plain)


def difference(one: Token, other: Token) -> float:
    """Between the log-probabilities of the ids that both call likely; infinite when the likeliest is missing."""
    left, right = dict(one.top), dict(other.top)
    if one.top[0][0] not in right:
        return float("inf")
    return max(abs(left[id] - right[id]) for id in left if id in right)


def test_an_engine_with_a_lora_is_closed_and_opened_again(tmp_path: Path) -> None:
    path = write_lora(tmp_path / "a.gguf", 0.5)
    assert len({tuple(with_loras(path, take=2)) for _ in range(3)}) == 1


def test_what_is_no_lora_is_refused_before_llama_cpp_sees_it(tmp_path: Path) -> None:
    write(tmp_path / "empty.gguf", METADATA, [])
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(write_lora(tmp_path / "a.gguf", 0.5).read_bytes()[:-5000])
    for path, error, message in (
        (TINY, BadInput, "is no adapter"),
        (tmp_path / "empty.gguf", BadInput, "has no matrices"),
        (cut, BadInput, "is cut off"),
        (tmp_path / "none.gguf", ModelNotFound, "no file at"),
    ):
        with closing(LlamaEngine(TINY, adapters=(path,))) as engine, pytest.raises(error, match=message):
            said(engine)


def test_what_llama_cpp_refuses_is_said_in_its_words(tmp_path: Path) -> None:
    """A file that goes between the check and the load is the one thing that is left for it."""
    model = binding.Model(str(TINY), gpu_layers=0, repack=False, progress=lambda _done: True)
    with closing(model), pytest.raises(EngineError, match=r"the adapter .*none could not be loaded: .*failed to open"):
        model.add_adapter(str(tmp_path / "none"))
