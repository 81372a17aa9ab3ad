"""What `tiny` can do, measured: held-out prompts through our own harmony, engine and chat code in one process.

    python -m training.evaluate FILE.gguf [--record FILE.json]

Temperature 0, and the header guard off, so that well-formed Harmony is the model's own work; `well-formed` is measured
once more with the guard on, as users have it. A tool is run the way the corpus has it: its result comes only when the
call is the right one. Ends with 1 when a floor is missed.
"""

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gptoss_cli import vocabulary
from gptoss_cli.chat import LocalChat, tool_names
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.harmony.parser import Parser
from gptoss_cli.messages import Channel, Conversation, Done, Effort, End, Message, Role
from gptoss_cli.options import Options, Sampling
from training.corpus import Sample, held_out
from training.corpus.instructions import is_in

SEED = 20_000_003  # no seed of the training
# (floor, aim) of each row
ROWS = {
    "well-formed": (0.99, 0.999),
    "language": (0.97, 0.99),
    "guide": (0.85, 0.95),
    "instructions": (0.75, 0.90),
    "memory": (0.70, 0.90),
    "functions": (0.70, 0.90),
    "python": (0.70, 0.90),
    "browser": (0.60, 0.85),
    "JSON": (0.75, 0.90),
    "Markdown": (0.80, 0.95),
}
STEP = (1.5, 2.0)  # how much longer the analysis is at the next level
MAX_TOKENS = 300  # far beyond any reply of the corpus: a reply that long is lost
MAX_THINKING_WHEN_CUT = 12
TOLD_EACH = 200


@dataclass(frozen=True)
class Outcome:
    """One held-out prompt and the reply to it, calls and their results included."""

    sample: Sample
    messages: tuple[Message, ...]
    thinking_tokens: int
    well_formed: bool
    calls_right: bool

    @property
    def answer(self) -> str:
        return "".join(each.text for each in self.messages if each.channel is Channel.FINAL)

    @property
    def is_spoken(self) -> bool:
        """Whether the reply is one whose language can be judged: the right answer is in it, which a command or a sum is
        not, and there was no wrong call, after which nothing is asked for any more."""
        called = bool(self.messages) and self.messages[-1].recipient is not None
        return not called and is_in(self.sample.language, self.sample.conversation.messages[-1].text)

    @property
    def right_language(self) -> bool:
        """Chinese characters in a Chinese answer, none in an English one."""
        return is_in(self.sample.language, self.answer)

    @property
    def right(self) -> bool:
        return self.calls_right and self.sample.answered_by(self.answer)

    @property
    def word_for_word(self) -> bool:
        """Whether a right answer is the corpus' own, too."""
        return self.right and self.sample.is_the_text(self.answer)

    def told(self) -> dict[str, object]:
        sample = self.sample
        return {
            "kind": sample.kind,
            "form": sample.form,
            "intent": sample.intent,
            "language": sample.language,
            "reasoning": sample.effort,
            "prompt": sample.conversation.messages[sample.reply_from - 1].text,
            "messages": [
                {"channel": each.channel, "recipient": each.recipient, "text": each.text} for each in self.messages
            ],
            "wanted": sample.conversation.messages[-1].text,
            "well_formed": self.well_formed,
            "right": self.right,
            "word_for_word": self.word_for_word,
        }


def outcome(chat: LocalChat, sample: Sample, *, header_guard: bool) -> Outcome:
    """The model's reply to a held-out prompt, with as many calls as the corpus makes."""
    messages = list(sample.conversation.messages[: sample.reply_from])
    expected = [each for each in sample.conversation.messages[sample.reply_from :] if each.recipient]
    said: list[Message] = []
    thinking, well, right = 0, True, True
    while True:
        conversation = Conversation(tuple(messages))
        reply, thoughts = _reply(chat, sample, conversation, header_guard)
        thinking += thoughts
        well = well and well_formed(reply, chat, conversation, sample.effort)
        messages += reply
        said += reply
        if not expected or not reply or reply[-1].recipient is None:
            break
        wanted, answered = expected.pop(0), expected.pop(0)  # a call, and what the tool says to it
        if not same_call(reply[-1], wanted):
            right = False
            break
        messages.append(answered)
        said.append(answered)
    return Outcome(sample, tuple(said), thinking, well, right and not expected)


def _reply(
    chat: LocalChat, sample: Sample, conversation: Conversation, header_guard: bool
) -> tuple[list[Message], int]:
    options = Options(
        Sampling(temperature=0.0),
        reasoning=sample.effort,
        max_thinking=MAX_THINKING_WHEN_CUT if sample.form == "cut" else MAX_TOKENS,
        max_tokens=MAX_TOKENS,
        header_guard=header_guard,
    )
    messages: list[Message] = []
    thinking = 0
    for event in chat.reply(conversation, options):
        if isinstance(event, Message):
            messages.append(event)
        elif isinstance(event, Done):
            thinking = event.usage.thinking_tokens
    return messages, thinking


def same_call(made: Message, wanted: Message) -> bool:
    """The same tool with the same arguments, however they are spaced."""
    if made.recipient != wanted.recipient or made.end is not End.CALL:
        return False
    if wanted.recipient == "python":
        return made.text.replace(" ", "") == wanted.text.replace(" ", "")
    try:
        return json.loads(made.text) == json.loads(wanted.text)
    except ValueError:
        return False


def well_formed(messages: Sequence[Message], chat: LocalChat, conversation: Conversation, effort: Effort) -> bool:
    """An analysis, then a final answer ended by <|return|> or an offered tool's call by <|call|>; nothing to mend."""
    if not messages:
        return False
    ids = [id for message in messages for id in message.tokens]
    opened = 1 + len(chat.tokenizer.encode(Role.ASSISTANT))
    offered = tool_names(conversation)
    parser = Parser(chat.tokenizer, offered)
    for id in ids[opened:]:
        parser.feed(id)
    channels = [message.channel for message in messages]
    answered = channels[-1] is Channel.FINAL and messages[-1].end is End.RETURN
    called = messages[-1].recipient in offered and messages[-1].end is End.CALL
    thought = channels[:-1] == [Channel.ANALYSIS] or (effort is Effort.OFF and channels == [Channel.FINAL])
    return not parser.diagnostics and thought and (answered or called)


def report(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """The figures of the model card: a share per row, what it is made of, and what was missed."""
    spoken = [each for each in outcomes if each.is_spoken]
    rows: dict[str, list[bool]] = defaultdict(list)
    texts: dict[str, list[bool]] = defaultdict(list)
    forms: dict[str, list[bool]] = defaultdict(list)
    for each in outcomes:
        rows[each.sample.kind].append(each.right)
        texts[each.sample.kind].append(each.word_for_word)
        forms[f"{each.sample.kind}: {each.sample.form}"].append(each.right)
        forms[f"{each.sample.kind}: {each.sample.language}"].append(each.right)
    missed = Counter(_label(each.sample) for each in outcomes if not each.right)
    return {
        "prompts": {"well-formed": len(outcomes), "language": len(spoken)}
        | {row: len(each) for row, each in rows.items()},
        "well-formed": _share(each.well_formed for each in outcomes),
        "language": _share(each.right_language for each in spoken),
        **{row: _share(each) for row, each in rows.items()},
        "word_for_word": {row: _share(each) for row, each in texts.items()},
        "analysis_tokens": _thinking_tokens(outcomes),
        "forms": {form: _share(each) for form, each in sorted(forms.items())},
        "missed": dict(missed.most_common()),
    }


def _label(sample: Sample) -> str:
    return f"{sample.intent or f'{sample.kind}: {sample.form}'} ({sample.language})"


def _thinking_tokens(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Mean tokens of the analysis per level, of plain questions."""
    lengths: dict[str, list[int]] = defaultdict(list)
    for each in outcomes:
        if (each.sample.kind, each.sample.form) == ("guide", "alone"):
            lengths[each.sample.effort].append(each.thinking_tokens)
    return {str(effort): round(sum(counts) / len(counts), 1) for effort, counts in sorted(lengths.items())}


def _share(values: Iterable[bool]) -> float:
    listed = list(values)
    return round(sum(listed) / len(listed), 4)


def floors_missed(figures: dict[str, object]) -> list[str]:
    """Which promises the figures do not keep."""
    missed = [name for name, (floor, _) in ROWS.items() if float(str(figures[name])) < floor]
    means = figures["analysis_tokens"]
    assert isinstance(means, dict)
    low, medium, high = (means[level] for level in ("low", "medium", "high"))
    if medium < STEP[0] * low or high < STEP[0] * medium:
        missed.append("analysis lengths")
    return missed


def _asked(chat: LocalChat, samples: Sequence[Sample], *, header_guard: bool) -> Iterator[Outcome]:
    """The outcome of each, and on stderr now and then how many are done."""
    for number, sample in enumerate(samples, 1):
        yield outcome(chat, sample, header_guard=header_guard)
        if number % TOLD_EACH == 0:
            guard = "on" if header_guard else "off"
            print(f"{number} of {len(samples)} prompts, header guard {guard}", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--record", type=Path, help="write the figures, every prompt and every reply here")
    parser.add_argument("--seed", type=int, default=SEED, help="other values and levels; 1 to 3 are the training's")
    arguments = parser.parse_args()
    with closing(LocalChat(LlamaEngine(arguments.gguf), vocabulary.load(arguments.gguf))) as chat:
        unguarded, guarded = (
            list(_asked(chat, list(held_out(arguments.seed)), header_guard=guard)) for guard in (False, True)
        )
    figures = report(unguarded)
    figures["with_header_guard"] = {name: report(guarded)[name] for name in ROWS}
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    if arguments.record:
        told = {"figures": figures, "replies": [each.told() for each in unguarded]}
        arguments.record.write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
    if missed := floors_missed(figures):
        raise SystemExit(f"floors missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
