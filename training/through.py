"""Twenty held-out prompts of each row through the command `gptoss`, as a user has it: its guard on, its own history.

    python -m training.through [--model tiny] [--record FILE.json]

Questions, instructions (`-s`) and Markdown go through `gptoss run`; what was said in earlier turns through
`run --save` and `run -c`, with the model's own answers in between; tools and schemas through `gptoss debug reply`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from gptoss_cli.harmony.render import developer_text
from gptoss_cli.library.model import TINY_PRESET
from gptoss_cli.messages import Channel, DeveloperContent, End, Message, Role, SystemContent, ToolNamespace
from training.corpus import Sample, held_out
from training.evaluate import ROWS, SEED, same_call

EACH = 20
LIMITS = ("--max-tokens", str(TINY_PRESET["max_tokens"]), "--max-thinking", str(TINY_PRESET["max_thinking"]))
Document = Mapping[str, Any]  # JSON


class Command:
    """`gptoss` with a home of its own."""

    def __init__(self, model: str, home: Path) -> None:
        self._model = model
        self._environment = os.environ | {
            "GPTOSS_HOME": str(home),
            "GPTOSS_KEEP_ALIVE": "0",
            **{f"GPTOSS_{name.upper()}": str(value) for name, value in TINY_PRESET.items()},  # a path has none
        }

    def answer(self, sample: Sample) -> str:
        """What stands on stdout for the last question; "" when the command fails, or a call is not the right one."""
        match sample.kind:
            case "memory":
                return self._turns(sample)
            case "guide" | "instructions" | "Markdown":
                question = sample.conversation.messages[sample.reply_from - 1].text
                return self._run(*self._flags(sample), "-m", self._model, "--", question)
            case _:
                return self._with_tools(sample)

    def _flags(self, sample: Sample) -> list[str]:
        parts = [part for message in sample.conversation.messages for part in message.content]
        texts = [part.instructions for part in parts if isinstance(part, DeveloperContent) and part.instructions]
        return ["--reasoning", sample.effort, *(each for text in texts for each in ("-s", text))]

    def _turns(self, sample: Sample) -> str:
        asked = [each.text for each in sample.conversation.messages[: sample.reply_from] if each.role is Role.USER]
        self._run(*self._flags(sample), "--save", "-m", self._model, "--", asked[0])
        return [self._run("-c", "--", each) for each in asked[1:]][-1]

    def _run(self, *arguments: str) -> str:
        return self._called("run", "-n", *arguments).strip()

    def _called(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "-m", "gptoss_cli", *arguments],
            input=stdin,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout if done.returncode == 0 else ""

    def _with_tools(self, sample: Sample) -> str:
        messages = list(sample.conversation.messages[: sample.reply_from])
        expected = [each for each in sample.conversation.messages[sample.reply_from :] if each.recipient]
        while True:
            reply = self._reply(messages)
            if not expected:
                return "".join(each.text for each in reply if each.channel is Channel.FINAL)
            wanted, answered = expected.pop(0), expected.pop(0)
            if not reply or not same_call(reply[-1], wanted):
                return ""
            messages += [*reply, answered]

    def _reply(self, messages: list[Message]) -> list[Message]:
        document = json.dumps({"messages": [as_json(each) for each in messages]})
        out = self._called("debug", "reply", self._model, *LIMITS, stdin=document)
        return [as_message(each) for each in json.loads(out)["messages"]] if out else []


def as_json(message: Message) -> Document:
    """As `gptoss debug` reads it, which is openai-harmony's JSON."""
    fields = {
        "role": message.role,
        "name": message.name,
        "recipient": message.recipient,
        "channel": message.channel,
        "content_type": message.content_type,
        "content": [_part(part) for part in message.content],
    }
    return {name: value for name, value in fields.items() if value is not None}


def _part(part: object) -> Document:
    match part:
        case SystemContent():
            return {
                "type": "system_content",
                "model_identity": part.identity,
                "knowledge_cutoff": part.knowledge_cutoff,
                "conversation_start_date": part.date,
                "reasoning_effort": part.effort,
                "channel_config": {"valid_channels": part.channels, "channel_required": part.channel_required},
                "tools": _tools(part.tools),
            }
        case DeveloperContent() if not part.response_formats:  # which this JSON does not have
            return {"type": "developer_content", "instructions": part.instructions, "tools": _tools(part.tools)}
        case DeveloperContent():
            return {"type": "text", "text": developer_text(part)}
        case _:
            return {"type": "text", "text": str(part)}


def _tools(spaces: tuple[ToolNamespace, ...]) -> Document:
    return {
        space.name: {
            "name": space.name,
            "description": space.description,
            "tools": [
                {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
                for tool in space.tools
            ],
        }
        for space in spaces
    }


def as_message(document: Document) -> Message:
    return Message(
        Role(document["role"]),
        (document["text"],),
        Channel(document["channel"]) if "channel" in document else None,
        recipient=document.get("recipient"),
        content_type=document.get("content_type"),
        end=End(document["end"]) if "end" in document else None,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m training.through", description=__doc__)
    parser.add_argument("--model", default="tiny", help="tiny, or the path of a .gguf")
    parser.add_argument("--record", type=Path, help="write the shares here")
    arguments = parser.parse_args()
    rights: dict[str, list[bool]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as home:
        command = Command(arguments.model, Path(home))
        samples = list(held_out(SEED + 1, each=EACH))
        Random(SEED).shuffle(samples)
        for sample in samples:
            known = sample.kind != "guide" or sample.form == "alone"
            if known and len(rights[sample.kind]) < EACH:
                rights[sample.kind].append(sample.answered_by(command.answer(sample)))
                if not (done := sum(map(len, rights.values()))) % EACH:
                    print(f"{done} prompts", file=sys.stderr, flush=True)
    shares = {row: sum(rights[row]) / len(rights[row]) for row in ROWS if rights[row]}
    print(json.dumps(shares, indent=1))
    if arguments.record:
        arguments.record.write_text(json.dumps(shares, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
