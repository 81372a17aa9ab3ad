"""A chat model: a conversation in, the events of one reply out. Knows Harmony and an engine; keeps no conversation."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

from gptoss_cli.engine import Engine, Enough, Step, Timings, Token
from gptoss_cli.harmony import guard
from gptoss_cli.harmony.parser import Parser
from gptoss_cli.harmony.render import final_header, no_thinking, render
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.language import translated
from gptoss_cli.messages import (
    Channel,
    Conversation,
    Delta,
    DeveloperContent,
    Done,
    Effort,
    End,
    Event,
    Message,
    Notice,
    Progress,
    ReplyTimings,
    Role,
    SystemContent,
    ToolNamespace,
    Usage,
)
from gptoss_cli.options import Options

Generation = Generator[Token | Step, None, Timings]

# room for a reply without limits: the context grows when it is not enough
DEFAULT_ROOM = 2048


class LocalChat:
    """A model in this process. One reply at a time."""

    def __init__(
        self, engine: Engine, tokenizer: Tokenizer, num_ctx: int | None = None, notice: str | None = None
    ) -> None:
        """num_ctx: the length that the engine's context is fixed to, if it is. notice: for the first reply to tell."""
        self.engine = engine
        self.tokenizer = tokenizer
        self._num_ctx = num_ctx
        self._untold = [Notice(notice)] if notice else []

    def reply(self, conversation: Conversation, options: Options) -> Iterator[Event]:
        """The events of one reply to `conversation`, ended by Done; closing it early stops the engine within a token.

        Deltas of the final channel stop before the first of `options.stop`, which the answer does not contain.
        Raises NoAnswer when the prompt is longer than the context, EngineError.
        """
        return self._events(_Reply(self.engine, self.tokenizer, conversation, options))

    def _events(self, reply: "_Reply") -> Iterator[Event]:
        while self._untold:
            yield self._untold.pop()
        yield from reply.events()

    def settle(self, conversation: Conversation) -> None:
        """Read in the background what the next prompt will begin with: the answer as history has it, without thoughts.

        Returns at once; the next reply stops it.
        """
        self.engine.prepare(render(conversation, self.tokenizer, next_role=None))

    def keep(self, name: str) -> None:
        """Keep what was read last for another process that goes on with it, under the session's id."""
        self.engine.keep(name)

    def count(self, conversation: Conversation) -> int:
        """How many tokens a prompt of `conversation` has."""
        return len(render(conversation, self.tokenizer).tokens)

    def limit(self) -> int:
        """How many tokens a context can have at most; waits for the model to be loaded."""
        return self._num_ctx or self.engine.info.n_ctx_train

    def close(self) -> None:
        """Free the model. Idempotent."""
        self.engine.close()


def tool_names(conversation: Conversation) -> frozenset[str]:
    """Full names (`functions.f`, `browser.open`, `python`) of the tools that the conversation offers."""
    names: set[str] = set()
    for message in conversation.messages:
        for part in message.content:
            if isinstance(part, SystemContent | DeveloperContent):
                names.update(name for namespace in part.tools for name in _full_names(namespace))
    return frozenset(names)


def _full_names(namespace: ToolNamespace) -> list[str]:
    if not namespace.tools:  # python is a namespace that is itself the tool
        return [namespace.name]
    return [f"{namespace.name}.{tool.name}" for tool in namespace.tools]


@dataclass
class _Counts:
    thinking: int = 0
    answer: int = 0


class _Reply:
    """One run of the engine: what has been counted, parsed and shown so far."""

    def __init__(self, engine: Engine, tokenizer: Tokenizer, conversation: Conversation, options: Options) -> None:
        self._engine = engine
        self._options = options
        self._tools = tool_names(conversation)
        prompt = render(conversation, tokenizer)
        if is_continued(conversation):
            opened = final_header(tokenizer)  # the prompt has it, and the beginning of the answer
        else:
            opened = no_thinking(tokenizer) if options.reasoning is Effort.OFF else ()
            prompt = replace(prompt, tokens=prompt.tokens + opened)
        self._prompt = replace(prompt, room=_room(options))
        self._guide = guard.guide(
            tokenizer,
            self._tools,
            header_guard=options.header_guard,
            max_thinking=options.max_thinking,
            max_tokens=options.max_tokens,
            opened=opened,
        )
        self._parser = Parser(tokenizer, self._tools, opened)
        self._stops = _StopStrings(options.stop)
        self._counts = _Counts()
        self._started = time.perf_counter()
        self._first_token_s = 0.0

    def events(self) -> Iterator[Event]:
        with closing(self._engine.generate(self._prompt, self._options.sampling, self._guide)) as generation:
            timings = yield from self._run(generation)
        yield from self._shown(self._parser.close())
        yield from self._end(timings)

    def _run(self, generation: Generation) -> Generator[Event, None, Timings]:
        while True:
            try:
                step = generation.throw(Enough()) if self._complete() else next(generation)
            except StopIteration as stop:
                timings: Timings = stop.value
                return timings
            match step:
                case Step("replaced"):
                    yield Notice(translated("the process that had the model loaded did not answer and was replaced"))
                case Step(stage, done, total):
                    yield Progress(stage, done, total)
                case Token(id):
                    yield from self._shown(self._read(id))

    def _complete(self) -> bool:
        """Whether the reply is over although the engine would go on: a call ended by <|end|>, an invented result."""
        return self._parser.ended or self._stops.hit

    def _read(self, id: int) -> list[Delta | Message]:
        if not self._first_token_s:
            self._first_token_s = time.perf_counter() - self._started
        events = self._parser.feed(id)
        if self._parser.in_content:
            if self._parser.channel is Channel.FINAL:
                self._counts.answer += 1
            elif self._parser.channel is Channel.ANALYSIS:
                self._counts.thinking += 1
        return events

    def _shown(self, events: list[Delta | Message]) -> Iterator[Delta | Message]:
        for event in events:
            if self._stops.hit:
                return
            if event_is_final(event):
                yield from self._stops.pass_on(event)
            else:
                yield event

    def _end(self, timings: Timings) -> Iterator[Notice | Done]:
        options, counts = self._options, self._counts
        reason = self._reason(timings)
        if options.max_thinking is not None and counts.thinking >= options.max_thinking and counts.thinking:
            yield Notice(translated("thoughts cut at {count} tokens (--max-thinking)", count=options.max_thinking))
        if reason == "length":
            yield Notice(translated("answer cut at {count} tokens (--max-tokens)", count=options.max_tokens))
        if reason == "context" and counts.answer:
            full = "answer cut: the context of {count} tokens is full (--num-ctx)"
            yield Notice(translated(full, count=self._engine.info.n_ctx))
        usage = Usage(
            prompt_tokens=len(self._prompt.tokens),
            prompt_evaluated=timings.evaluated,
            prompt_reused=timings.reused,
            prompt_restored=timings.restored,
            thinking_tokens=counts.thinking,
            answer_tokens=counts.answer,
        )
        yield Done(reason, usage, ReplyTimings(timings.load_s, self._first_token_s, timings.prompt_s, timings.answer_s))

    def _reason(self, timings: Timings) -> str:
        if self._stops.hit:
            return "stop"
        if self._parser.stop in ("<|call|>", "call"):
            return "call"
        return timings.finish


def event_is_final(event: Delta | Message) -> bool:
    return event.channel is Channel.FINAL and not event.recipient


def is_continued(conversation: Conversation) -> bool:
    """Whether the last message is a part of an answer, which the reply goes on with."""
    last = conversation.messages[-1]
    return last.role is Role.ASSISTANT and last.channel is Channel.FINAL and not last.complete


def _room(options: Options) -> int:
    limits = (options.max_thinking, options.max_tokens)
    return sum(limit if limit is not None else DEFAULT_ROOM for limit in limits)


class _StopStrings:
    """Cuts the final channel at the first stop string; holds back a tail that may become one."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held = ""
        self._passed = ""
        self.hit = False

    def pass_on(self, event: Delta | Message) -> Iterator[Delta | Message]:
        if not self._stops:
            yield event
        elif isinstance(event, Delta):
            yield from self._delta(event)
        else:
            yield from self._flush(event)

    def _delta(self, delta: Delta) -> Iterator[Delta | Message]:
        self._held += delta.text
        if (place := self._first(self._held)) is not None:
            self._held = self._held[:place]
            self.hit = True
            yield from self._release(len(self._held), delta)
            yield Message(Role.ASSISTANT, (self._passed,), Channel.FINAL, end=End.END)
        else:
            yield from self._release(len(self._held) - self._overlap(), delta)

    def _flush(self, message: Message) -> Iterator[Delta | Message]:
        yield from self._release(len(self._held), Delta(message.channel, ""))
        self._passed = ""
        # text that had no channel until the reply was over comes here without having been a delta
        if (place := self._first(message.text)) is not None:
            self.hit = True
            message = replace(message, content=(message.text[:place],), end=End.END)
        yield message

    def _first(self, text: str) -> int | None:
        """Where in `text` the first of the stop strings begins."""
        return min((place for stop in self._stops if (place := text.find(stop)) >= 0), default=None)

    def _release(self, length: int, delta: Delta) -> Iterator[Delta]:
        text, self._held = self._held[:length], self._held[length:]
        self._passed += text
        if text:
            yield replace(delta, text=text)

    def _overlap(self) -> int:
        """Length of the longest tail of the held text that begins a stop string."""
        longest = max(len(stop) for stop in self._stops) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0
