"""What `tiny` can do, measured: held-out prompts through our own harmony, engine and chat code in one process.

    python -m training.evaluate FILE.gguf [--record FILE.json]

Temperature 0. The floors are for the header guard off, so that well-formed Harmony is the model's own work; all is
measured once more with the guard on, as users have it. Ends with 1 when a floor is missed.
"""

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from gptoss_cli import vocabulary
from gptoss_cli.chat import LocalChat, tool_names
from gptoss_cli.engine.llama import LlamaEngine
from gptoss_cli.harmony.parser import Parser
from gptoss_cli.messages import Channel, Conversation, Done, Effort, End, Message
from gptoss_cli.options import Options, Sampling
from training.corpus import Sample, held_out

SEED = 20_000_003  # no seed of the training
FLOORS = {"well-formed": 0.97, "language": 0.95, "answers": 0.80}
MAX_TOKENS = 400  # far beyond any reply of the corpus: a reply that long is lost
MAX_THINKING_WHEN_CUT = 12


@dataclass(frozen=True)
class Outcome:
    """One held-out prompt and the reply to it."""

    sample: Sample
    messages: tuple[Message, ...]
    thinking_tokens: int
    well_formed: bool

    @property
    def answer(self) -> str:
        return "".join(each.text for each in self.messages if each.channel is Channel.FINAL)

    @property
    def right_language(self) -> bool:
        """Chinese characters in a Chinese answer, none in an English one; a call has no language."""
        if not self.answer:
            return self.sample.kind == "call"
        return any("\u4e00" <= letter <= "\u9fff" for letter in self.answer) == (self.sample.language == "Chinese")

    @property
    def right(self) -> bool:
        """The keywords of the intent; without an intent, the very call or sentence of the corpus."""
        if self.sample.intent:
            return self.sample.intent.is_answered_by(self.answer)
        expected = self.sample.conversation.messages[-1]
        return bool(self.messages) and (self.messages[-1].text, self.messages[-1].recipient) == (
            expected.text,
            expected.recipient,
        )

    def told(self) -> dict[str, object]:
        sample = self.sample
        return {
            "kind": sample.kind,
            "intent": sample.intent.name if sample.intent else None,
            "language": sample.language,
            "reasoning": sample.effort,
            "prompt": sample.conversation.messages[sample.reply_from - 1].text,
            "messages": [{"channel": each.channel, "text": each.text} for each in self.messages],
            "well_formed": self.well_formed,
            "right": self.right,
        }


def outcome(chat: LocalChat, sample: Sample, *, header_guard: bool) -> Outcome:
    """The model's reply to a held-out prompt."""
    conversation = Conversation(sample.conversation.messages[: sample.reply_from])
    options = Options(
        Sampling(temperature=0.0),
        reasoning=sample.effort,
        max_thinking=MAX_THINKING_WHEN_CUT if sample.kind == "cut" else MAX_TOKENS,
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
    return Outcome(sample, tuple(messages), thinking, well_formed(messages, chat, conversation, sample.effort))


def well_formed(messages: Sequence[Message], chat: LocalChat, conversation: Conversation, effort: Effort) -> bool:
    """An analysis, then a final answer ended by <|return|> or an offered tool's call by <|call|>; nothing to mend."""
    if not messages:
        return False
    ids = [id for message in messages for id in message.tokens]
    opened = 1 + len(chat.tokenizer.encode("assistant"))
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
    """The figures of the model card; `answers` are those to questions that have an intent, in every form."""
    asked = [each for each in outcomes if each.sample.intent]
    missed = Counter(_label(each.sample) for each in asked if not each.right)
    return {
        "prompts": len(outcomes),
        "well-formed": _share(each.well_formed for each in outcomes),
        "language": _share(each.right_language for each in outcomes),
        "answers": _share(each.right for each in asked),
        "answers_english": _share(each.right for each in asked if each.sample.language == "English"),
        "answers_chinese": _share(each.right for each in asked if each.sample.language == "Chinese"),
        "intents": len({each.sample.intent.name for each in asked if each.sample.intent}),
        "analysis_tokens": _thinking_tokens(outcomes),
        "by_kind": _by_kind(outcomes),
        "missed": dict(missed.most_common()),
    }


def _label(sample: Sample) -> str:
    return f"{sample.intent.name if sample.intent else sample.kind} ({sample.language})"


def _thinking_tokens(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Mean tokens of the analysis per level, of plain questions."""
    lengths: dict[str, list[int]] = defaultdict(list)
    for each in outcomes:
        if each.sample.kind == "plain":
            lengths[each.sample.effort].append(each.thinking_tokens)
    return {str(effort): round(sum(counts) / len(counts), 1) for effort, counts in sorted(lengths.items())}


def _by_kind(outcomes: Sequence[Outcome]) -> dict[str, float]:
    kinds: dict[str, list[bool]] = defaultdict(list)
    for each in outcomes:
        kinds[each.sample.kind].append(each.right)
    return {kind: _share(rights) for kind, rights in sorted(kinds.items())}


def _share(values: Iterable[bool]) -> float:
    listed = list(values)
    return round(sum(listed) / len(listed), 4)


def floors_missed(figures: dict[str, object]) -> list[str]:
    """Which promises the figures do not keep."""
    missed = [name for name, floor in FLOORS.items() if float(str(figures[name])) < floor]
    means = figures["analysis_tokens"]
    assert isinstance(means, dict)
    low, medium, high = (means[level] for level in ("low", "medium", "high"))
    if not low < medium < high or high < 2 * low:
        missed.append("analysis lengths")
    return missed


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("gguf", type=Path)
    parser.add_argument("--record", type=Path, help="write the figures, every prompt and every reply here")
    arguments = parser.parse_args()
    with closing(LocalChat(LlamaEngine(arguments.gguf), vocabulary.load(arguments.gguf))) as chat:
        unguarded, guarded = (
            [outcome(chat, sample, header_guard=guard) for sample in held_out(SEED)] for guard in (False, True)
        )
    figures = report(unguarded)
    figures["with_header_guard"] = {name: report(guarded)[name] for name in FLOORS}
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    if arguments.record:
        told = {"figures": figures, "replies": [each.told() for each in unguarded]}
        arguments.record.write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
    if missed := floors_missed(figures):
        raise SystemExit(f"floors missed: {', '.join(missed)}")


if __name__ == "__main__":
    main()
