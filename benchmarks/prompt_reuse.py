"""How many tokens of the prompt are evaluated before the first one of each answer, in a chat of 20 turns.

    python -m benchmarks.prompt_reuse                        ours alone
    python -m benchmarks.prompt_reuse --build OUT [--source FOLDER]
    python -m benchmarks.prompt_reuse --llama-server OUT     next to llama-server

Ours is a session as the chat has it: the built-in model, temperature 0, a fixed date, and after each answer a pause in
which the next turn is prepared. Then the last answer is asked for again, as /retry does, and is undone and followed by
another message, as after /undo. llama-server gets the very same prompts as token ids and gives as many ids in reply.

--build compiles llama-server (some minutes) from the source distribution of llama-cpp-python, which it downloads with
pip unless --source names it unpacked; see benchmarks/llama_sources.py for what it needs.

Exit code 1 when a turn takes more than its message and 16 tokens, or more than llama-server evaluates.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from benchmarks import llama_server
from gptoss_cli.chat import LocalChat
from gptoss_cli.harmony.render import render
from gptoss_cli.library import Library
from gptoss_cli.messages import Conversation, Done, Event
from gptoss_cli.options import Options, Sampling
from gptoss_cli.session import Events, Session

ALLOWED = 16  # tokens beside those of the message: its header, and the one that opens the answer
DATE = "2026-01-01"
IDLE_S = 0.2
LONG = " ".join(f"Point {number}: models of this size run on a laptop, a desktop or a server." for number in range(20))
MESSAGES = (
    "hello",
    "What can you do?",
    "Tell me a joke.",
    "What is the capital of France?",
    "And of Italy?",
    "Write a short story about a cat that learns to swim.",
    "Thanks!",
    "How much memory do I need?",
    f"Summarize this text. {LONG}",
    "Make it shorter.",
    "What is 12 + 30?",
    "Explain what a list is in Python.",
    "def add(a, b):\n    return a + b\n\nWhat does this function do?",
    "How do I install gptoss?",
    "Does it need a network?",
    "Wie heißt du?",
    "Who made you?",
    "What is a token, and why are prompts counted in tokens and not in words?",
    "What is a sliding window?",
    "Goodbye.",
)
ANOTHER = "Wait, one more question: which model is the best one for 16 GB of memory?"


@dataclass(frozen=True)
class Turn:
    """One answer of ours: tokens of the new text, those of the prompt that were evaluated, ids of prompt and reply."""

    name: str
    message: int
    evaluated: int
    prompt: tuple[int, ...]
    reply: tuple[int, ...]

    @property
    def beside(self) -> int:
        return self.evaluated - self.message


class Recorded:
    """A chat model whose last prompt is kept."""

    def __init__(self, chat: LocalChat) -> None:
        self._chat = chat
        self.prompt: tuple[int, ...] = ()

    def reply(self, conversation: Conversation, options: Options) -> Iterator[Event]:
        self.prompt = render(conversation, self._chat.tokenizer).tokens
        return self._chat.reply(conversation, options)

    def settle(self, conversation: Conversation) -> None:
        self._chat.settle(conversation)

    def count(self, conversation: Conversation) -> int:
        return self._chat.count(conversation)

    def limit(self) -> int:
        return self._chat.limit()

    def tokens(self, text: str) -> int:
        return len(self._chat.tokenizer.encode(text))


class Talk:
    """The chat whose tokens are counted."""

    def __init__(self, chat: LocalChat) -> None:
        self._model = Recorded(chat)
        self._session = Session(self._model, Options(sampling=Sampling(temperature=0)), date=DATE)

    def turns(self) -> Iterator[Turn]:
        for number, text in enumerate(MESSAGES, 1):
            yield self._turn(str(number), text, self._session.send(text))
        yield self._turn("retry", "", self._session.retry())
        self._session.undo()
        yield self._turn("undo, other", ANOTHER, self._session.send(ANOTHER))

    def _turn(self, name: str, new: str, events: Events) -> Turn:
        *_, done = events
        assert isinstance(done, Done)
        assert done.usage.prompt_tokens == len(self._model.prompt)
        turn = Turn(name, self._model.tokens(new), done.usage.prompt_evaluated, self._model.prompt, self._sampled())
        self._session.settle()
        until_idle()
        return turn

    def _sampled(self) -> tuple[int, ...]:
        """The ids of the last reply; its first message begins with what the prompt has opened."""
        prompt, messages = self._model.prompt, self._session.turns[-1][1:]
        tokens = tuple(id for message in messages for id in message.tokens)
        opened = next(count for count in range(1, len(tokens)) if prompt[-count:] == tokens[:count])
        return tokens[opened:]


def until_idle() -> None:
    """Wait as somebody who reads and types does: until this process computes nothing any more."""
    spent = -1.0
    while (now := time.process_time()) - spent > IDLE_S / 10:
        spent = now
        time.sleep(IDLE_S)


def ours() -> list[Turn]:
    library = Library(Path("nowhere"))  # the built-in model needs no folder
    model = library.find("tiny")
    with closing(library.open(model, prompt_cache=False)) as chat:
        return list(Talk(chat).turns())


def theirs(program: Path, turns: list[Turn]) -> list[llama_server.Completion]:
    model = Library(Path("nowhere")).find("tiny").weights
    with llama_server.running(program, model) as server:
        return [server.complete(turn.prompt, len(turn.reply)) for turn in turns]


def show(turns: list[Turn], others: list[llama_server.Completion]) -> None:
    heads = ["message", "prompt", "ours", "- message", *(["llama-server", "less"] if others else [])]
    print(f"{'turn':12}" + "".join(f"{head:>14}" for head in heads))
    for place, turn in enumerate(turns):
        cells: list[object] = [turn.message, len(turn.prompt), turn.evaluated, turn.beside]
        if others:
            their = others[place].evaluated
            cells += [their, "equal" if turn.evaluated == their else "ours" if turn.evaluated < their else "theirs"]
        print(f"{turn.name:12}" + "".join(f"{cell!s:>14}" for cell in cells))
    sums: list[object] = [sum(turn.message for turn in turns), sum(len(turn.prompt) for turn in turns)]
    sums += [sum(turn.evaluated for turn in turns), sum(turn.beside for turn in turns)]
    if others:
        sums.append(sum(each.evaluated for each in others))
    print(f"{'sum':12}" + "".join(f"{cell!s:>14}" for cell in sums))
    if others:
        same = sum(turn.reply == each.tokens for turn, each in zip(turns, others, strict=True))
        print(f"llama-server gave the same reply, id by id, in {same} of {len(turns)} turns")


def failures(turns: list[Turn], others: list[llama_server.Completion]) -> Iterator[str]:
    for turn in turns[1:]:  # the first one has the system message to read
        if turn.beside > ALLOWED:
            yield f"turn {turn.name}: {turn.beside} tokens beside the message, not {ALLOWED} at most"
    for turn, other in zip(turns, others, strict=bool(others)):
        if turn.evaluated > other.evaluated:
            yield f"turn {turn.name}: {turn.evaluated} tokens, and llama-server {other.evaluated}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, metavar="OUT")
    parser.add_argument("--source", type=Path, help="the unpacked source distribution of llama-cpp-python")
    parser.add_argument("--llama-server", type=Path, metavar="OUT")
    arguments = parser.parse_args()
    if arguments.build:
        llama_server.build(arguments.build, arguments.source)
        print(arguments.build)
        return
    turns = ours()
    others = theirs(arguments.llama_server, turns) if arguments.llama_server else []
    show(turns, others)
    if found := list(failures(turns, others)):
        print("\n".join(found))
        sys.exit(1)


if __name__ == "__main__":
    main()
