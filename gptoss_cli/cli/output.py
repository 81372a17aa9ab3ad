"""A reply for programs: one JSON object, a stream of events, and statistics."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from gptoss_cli.messages import Channel, Delta, Done, Event, Message
from gptoss_cli.terminal import Shown


def reply_object(model: str, shown: Shown, session: str | None = None) -> dict[str, object]:
    """The object of --json; keys are added, never renamed. session: the id of the chat in which it is saved."""
    done = shown.done
    told: dict[str, object] = {
        "model": model,
        "response": shown.answer,
        "thinking": shown.thinking,
        "finish_reason": done.finish_reason if done else None,
        "usage": asdict(done.usage) if done else None,
        "timings": _rounded(done) if done else None,
    }
    return told if session is None else {**told, "session": session}


def _rounded(done: Done) -> dict[str, float]:
    return {name: round(seconds, 6) for name, seconds in asdict(done.timings).items()}


def event_lines(model: str, events: Iterable[Event]) -> Iterator[tuple[str, Event | None]]:
    """The lines of --jsonl, each with the event it came from: `start`, `thinking`, `text`, `done`."""
    yield _line("start", model=model), None
    streamed = ""
    for event in events:
        line = ""
        match event:
            case Delta(channel=Channel.ANALYSIS, text=text):
                line = _line("thinking", text=text)
            case Delta(channel=Channel.FINAL, text=text, recipient=None):
                streamed += text
                line = _line("text", text=text)
            case Message(channel=Channel.FINAL, recipient=None):
                if rest := event.text[len(streamed) :]:  # it had no channel until the reply was over
                    line = _line("text", text=rest)
                streamed = ""
            case Done():
                line = _line(
                    "done", finish_reason=event.finish_reason, usage=asdict(event.usage), timings=_rounded(event)
                )
            case _:
                pass
        yield line, event


def error_line(code: str, message: str, hint: str | None) -> str:
    return _line("error", error={"code": code, "message": message, "hint": hint})


def _line(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields}, ensure_ascii=False) + "\n"


def statistics(shown: Shown) -> list[str]:
    """What --verbose tells, a line each."""
    done = shown.done
    if done is None:
        return []
    usage, timings = done.usage, done.timings
    restored = f" ({usage.prompt_restored} restored)" if usage.prompt_restored else ""
    lines = [
        f"load      {timings.load_s:.2f} s",
        f"first     {timings.first_token_s:.2f} s to the first token",
        f"prompt    {usage.prompt_evaluated} tokens new, {usage.prompt_reused} cached{restored}, "
        f"{_rate(usage.prompt_evaluated, timings.prompt_s)}",
    ]
    if shown.thinking_s is not None:
        lines.append(_row("thinking", usage.thinking_tokens, shown.thinking_s))
    lines.append(_row("answer", usage.answer_tokens, shown.answer_s))
    return lines


def _row(name: str, tokens: int, seconds: float) -> str:
    return f"{name:<9} {tokens} tokens, {_rate(tokens, seconds)}"


def _rate(tokens: int, seconds: float) -> str:
    return f"{seconds:.2f} s, {tokens / seconds:.1f}/s" if seconds > 0 else f"{seconds:.2f} s"
