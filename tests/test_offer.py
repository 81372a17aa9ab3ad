"""What is not here is offered on a terminal, and only there."""

from pathlib import Path

import pytest
from conftest import TINY, Gptoss, process_environment
from hub_server import HubServer, Repository
from on_terminal import on_terminal
from pulling import FIRST, NAME


@pytest.fixture
def here(home: Path, server: HubServer) -> dict[str, str]:
    server.repositories[FIRST] = Repository({NAME: TINY.read_bytes()})
    return process_environment(home) | {"HF_ENDPOINT": server.endpoint}


def test_run_says_size_place_and_fit_asks_pulls_and_goes_on(here: dict[str, str], home: Path) -> None:
    code, seen = on_terminal(
        here, "run", "gpt-oss:20b", "hello", "--temperature", "0", answers=[("Fetch it? [Y/n]", "\n")]
    )
    assert code == 0
    assert "gpt-oss:20b is not on this machine" in seen
    assert f"  6.0 MB, {FIRST} → {home}/huggingface/hub" in seen
    assert "  fits: " in seen
    assert "sha256 is right" in seen
    assert "Hello! I am tiny" in seen


@pytest.mark.soak
def test_a_no_leaves_everything_and_says_what_to_type(here: dict[str, str], server: HubServer) -> None:
    code, seen = on_terminal(here, "run", "gpt-oss:20b", "hello", answers=[("Fetch it?", "n\n")])
    assert code == 3
    assert "fetch it with: gptoss pull gpt-oss:20b" in seen
    assert server.downloads() == []


@pytest.mark.parametrize("arguments", [("run", "gpt-oss:20b", "hello"), ("create", "x", "--preset", "coder")])
def test_a_program_is_never_asked(
    arguments: tuple[str, ...], gptoss: Gptoss, here: dict[str, str], server: HubServer
) -> None:
    result = gptoss(*arguments, HF_ENDPOINT=server.endpoint)
    assert (result.code, result.out) == (3, "")
    assert result.err.splitlines() == [
        "gptoss: gpt-oss:20b is not on this machine",
        "  fetch it with: gptoss pull gpt-oss:20b   or try the built-in model: tiny",
    ]
    assert server.seen == []


@pytest.mark.soak
def test_create_fetches_what_from_names(here: dict[str, str], gptoss: Gptoss) -> None:
    code, seen = on_terminal(here, "create", "mine", "--preset", "coder", answers=[("Fetch it?", "y\n")])
    assert (code, seen.splitlines()[-1]) == (0, "created mine")
    assert gptoss("show", "mine", "--modelfile").out.startswith("FROM gpt-oss:20b\n")


@pytest.mark.parametrize(
    "arguments", [("run",), *(pytest.param(each, marks=pytest.mark.soak) for each in ((), ("chat",)))]
)
def test_a_chat_without_a_model_offers_the_builds_with_their_fit(
    arguments: tuple[str, ...], here: dict[str, str], gptoss: Gptoss
) -> None:
    code, seen = on_terminal(here, *arguments, answers=[("Fetch which?", "1\n"), (">>> ", "\x04")])
    assert code == 0
    assert "no gpt-oss model on this machine yet" in seen
    assert "  1  gpt-oss:20b     12.1 GB  " in seen
    assert "  2  gpt-oss:120b    63.4 GB  " in seen
    assert gptoss("list", "-q").out.split() == ["gpt-oss:20b", "tiny"]


@pytest.mark.soak
def test_enter_fetches_nothing_and_the_built_in_model_talks(here: dict[str, str], server: HubServer) -> None:
    code, seen = on_terminal(
        here, "run", answers=[("Fetch which? (a number, or n for none) [n]", "\n"), (">>> ", "\x04")]
    )
    assert code == 0
    assert "gptoss pull gpt-oss:20b fetches it later" in seen
    assert "so the built-in one answers" in seen
    assert server.seen == []
