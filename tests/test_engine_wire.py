"""What an engine's process and its users say: it arrives as it was, and noise is refused."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptoss_cli import errors
from gptoss_cli.engine import EngineInfo, Step, Timings, Token, wire
from gptoss_cli.errors import EngineError, NoAnswer
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Budget, Guide, Prompt, State

LOAD = wire.Load("/m/\udce9.gguf", ("/a.gguf",), None, 3, None, True, 2)
INFO = EngineInfo("/m.gguf", 8192, 131072, 201088, 24, ("CUDA0", "CPU"))
GUIDE = Guide(
    (State(frozenset({1, 2}), {1: 1, 2: 0}, 1, 0), State(None, {}, banned=frozenset({7}))),
    (Budget(3, (4, 5), 1), Budget(0)),
)
SAID: list[wire.Said] = [
    wire.Hello(wire.PROTOCOL, "gptoss 1", LOAD),
    wire.Use("tiny", -1.0, "u"),
    wire.Generate(Prompt((1, 2, 3), (2,), frozenset({3}), 5), Sampling(seed=2**64 - 1, logprobs=2), GUIDE, 16),
    wire.Generate(Prompt(()), Sampling(), None, None),
    wire.Prepare(Prompt(tuple(range(1000)))),
    wire.Keep("1f"),
    wire.Taken(),
    wire.Refused(),
    wire.More(4),
    wire.Finish(),
    wire.Ended(Timings(1, 2, 3, 0.5, 0.25, 0.125, "stop"), INFO),
    wire.Failure("NoAnswer", "none", "a hint"),
    wire.AskInfo(),
    wire.AskStatus(),
    wire.Status("tiny", "/m.gguf", 1, 2, 3, 4, True, 5, 0.5, None),
    wire.End(now=True),
    wire.Ending(False),
    Step("load", 1, 1000),
    INFO,
    Token(201087),
    Token(0, -0.5, ((1, -1.0), (2, -math.inf))),
]


@pytest.mark.parametrize("said", SAID, ids=lambda said: type(said).__name__)
def test_it_arrives_as_it_was(said: wire.Said) -> None:
    assert wire.decode(wire.encode(said)) == said


def test_arguments_of_a_process_arrive_as_they_were() -> None:
    order = wire.Start("/run", "0123", LOAD, "模型", 300.0)
    assert wire.from_json(wire.Start, wire.as_json(order)) == order


def test_errors_keep_their_class_and_what_is_not_known_is_one_of_the_engine() -> None:
    error = wire.Failure.of(NoAnswer("too long", hint="less")).error
    assert (type(error), str(error), error.hint) == (NoAnswer, "too long", "less")
    assert type(wire.Failure("SystemExit", "x").error) is EngineError
    assert type(wire.Failure.of(errors.SchemaViolation("x")).error) is EngineError  # no engine raises it


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    for each in (data, b"J" + data, b"T" + data, b"J\x02\0\0\0{}" + data):
        with suppress(EngineError):  # nothing else may be raised
            wire.decode(each)


@given(st.sampled_from(SAID), st.data())
def test_a_message_that_was_damaged_is_refused_or_another_one(said: wire.Said, data: st.DataObject) -> None:
    whole = wire.encode(said)
    place = data.draw(st.integers(0, len(whole) - 1))
    for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
        with suppress(EngineError):
            wire.decode(damaged)
