"""`gptoss debug`: Harmony for other programs. JSON in, one JSON document per line out."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from gptoss_cli import vocabulary
from gptoss_cli.config import Places
from gptoss_cli.encoding import decode
from gptoss_cli.errors import BadInput
from gptoss_cli.harmony import conversation_json, schema
from gptoss_cli.harmony.parser import Parser
from gptoss_cli.harmony.render import render as render_conversation
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.library import Library
from gptoss_cli.messages import Done, Message, Role
from gptoss_cli.options import Options

debug = typer.Typer(
    name="debug",
    help="Harmony by token, for other programs: JSON in, JSON lines out.",
    short_help="Harmony by token, for other programs.",
    rich_markup_mode=None,
)

Model = Annotated[str | None, typer.Argument(metavar="MODEL", help="Whose vocabulary.")]
Vocab = Annotated[Path | None, typer.Option(metavar="FILE", help="A GGUF or an o200k_base.tiktoken.")]
Document = Any  # decoded JSON

MODES = ("completion", "conversation", "training")


@debug.command(short_help="A conversation to the tokens of its prompt.")
def render(
    model: Model = None,
    vocab: Vocab = None,
    mode: Annotated[str, typer.Option(metavar="MODE", help="completion, conversation or training.")] = "completion",
    next_role: Annotated[str, typer.Option(metavar="ROLE", help="Whose message is opened at the end.")] = "assistant",
    keep_analysis: Annotated[bool, typer.Option("--keep-analysis", help="Keep the thoughts of earlier turns.")] = False,
    as_schema: Annotated[bool, typer.Option("--schema", help="stdin is a tool: how the model reads it.")] = False,
) -> None:
    """A conversation in openai-harmony's JSON to {"text", "tokens"}; with --schema a tool to {"text"}."""
    if as_schema:
        _each(lambda document: {"text": schema.tool(conversation_json.tool_spec(document))})
        return
    if mode not in MODES:
        raise BadInput(f"--mode {mode} is none of {', '.join(MODES)}")
    if next_role not in set(Role):
        raise BadInput(f"--next-role {next_role} is none of {', '.join(Role)}")
    tokenizer = _tokenizer(model, vocab)

    def rendered(document: Document) -> Document:
        prompt = render_conversation(
            conversation_json.conversation(document),
            tokenizer,
            next_role=Role(next_role) if mode == "completion" else None,
            keep_analysis=keep_analysis,
            training=mode == "training",
        )
        return {"text": tokenizer.decode(prompt.tokens), "tokens": list(prompt.tokens)}

    _each(rendered)


@debug.command(short_help="The tokens of a reply to its messages.")
def parse(model: Model = None, vocab: Vocab = None) -> None:
    """{"tokens": [...], "tools": [names...]} of a reply to {"messages", "stop", "diagnostics"}."""
    tokenizer = _tokenizer(model, vocab)

    def parsed(document: Document) -> Document:
        ids = _list_of(document, "tokens", int)
        parser = Parser(tokenizer, _list_of(document, "tools", str) if "tools" in document else ())
        events = [event for id in ids for event in parser.feed(id)]
        events += parser.close()
        return {
            "messages": [_message(event) for event in events if isinstance(event, Message)],
            "stop": parser.stop,
            "diagnostics": [
                {"code": each.code, "at": each.at, "tokens": list(each.tokens)} for each in parser.diagnostics
            ],
        }

    _each(parsed)


@debug.command(short_help="What a model replies to a conversation.")
def reply(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Which one replies.")] = None,
    temperature: Annotated[str, typer.Option(metavar="X", help="0: always the likeliest token.")] = "0",
    seed: Annotated[str | None, typer.Option(metavar="N", help="Draw the same random numbers.")] = None,
    max_thinking: Annotated[str | None, typer.Option(metavar="N", help="Answer after N tokens of thoughts.")] = None,
    max_tokens: Annotated[str | None, typer.Option(metavar="N", help="At most N tokens of answer.")] = None,
) -> None:
    """A conversation in openai-harmony's JSON to {"messages", "finish_reason"}: thoughts, calls and the answer.

    Tools are offered as the conversation has them, and never run: a call ends the reply. Other parameters than the
    temperature are the model's own where they are not given.
    """
    flags = {"temperature": temperature, "seed": seed, "max_thinking": max_thinking, "max_tokens": max_tokens}
    places = Places.of(os.environ)
    library = Library(places.data, places.cache)
    found = library.find(model) if model else library.default()
    given = {name: value for name, value in flags.items() if value is not None}
    options = Options().override({**found.preset, **given})
    with closing(library.open(found, prompt_cache=False)) as chat:

        def replied(document: Document) -> Document:
            asked = conversation_json.conversation(document)
            if not asked.messages:
                raise BadInput('there is nothing to reply to: "messages" is empty')
            events = list(chat.reply(asked, options))
            return {
                "messages": [_message(event) for event in events if isinstance(event, Message)],
                "finish_reason": next(event.finish_reason for event in events if isinstance(event, Done)),
            }

        _each(replied)


@debug.command(short_help="A text to tokens, never a control token.")
def tokenize(model: Model = None, vocab: Vocab = None) -> None:
    """{"text"} to {"tokens"}; never a control token, whatever the text spells."""
    tokenizer = _tokenizer(model, vocab)

    def tokenized(document: Document) -> Document:
        if not isinstance(document, dict) or not isinstance(document.get("text"), str):
            raise BadInput('an object with a text is expected: {"text": "..."}')
        return {"tokens": tokenizer.encode(document["text"])}

    _each(tokenized)


def _tokenizer(model: str | None, vocab: Path | None) -> Tokenizer:
    if model and vocab:
        raise BadInput(f"{model} and --vocab {vocab}: give one of them")
    places = Places.of(os.environ)
    if vocab:
        return vocabulary.load(vocab, places.cache)
    library = Library(places.data)
    return vocabulary.load((library.find(model) if model else library.default()).weights, places.cache)


def _each(convert: Callable[[Document], Document]) -> None:
    """Convert every document of standard input. An error names the line, after the documents before it."""
    for line, document in _documents(sys.stdin.buffer.read()):
        try:
            converted = convert(document)
        except BadInput as error:
            raise BadInput(f"line {line}: {error}", hint=error.hint) from None
        sys.stdout.write(json.dumps(converted, ensure_ascii=False) + "\n")


def _documents(data: bytes) -> Iterator[tuple[int, Document]]:
    """JSON documents one after another, over one line or many, each with the line it begins in."""
    text = decode(data, "standard input")
    decoder, line, place = json.JSONDecoder(), 1, 0
    while place < len(text):
        if text[place].isspace():
            line += text[place] == "\n"
            place += 1
            continue
        try:
            document, end = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise BadInput(f"line {line + text.count(chr(10), place, error.pos)}: no JSON ({error.msg})") from None
        except RecursionError:
            raise BadInput(f"line {line}: no JSON that can be read (nested too deeply)") from None
        except ValueError:  # Python reads whole numbers of up to 4,300 digits
            raise BadInput(f"line {line}: no JSON that can be read (a number is too long)") from None
        yield line, document
        line += text.count("\n", place, end)
        place = end


def _list_of(document: Document, name: str, kind: type) -> Document:
    if not isinstance(document, dict) or not isinstance(document.get(name), list):
        raise BadInput(f'an object with a list is expected: {{"{name}": [...]}}')
    for place, each in enumerate(document[name]):
        if not isinstance(each, kind) or isinstance(each, bool):
            raise BadInput(f"{name}[{place}] is {each!r}")
    return document[name]


def _message(message: Message) -> Document:
    fields = {
        "role": message.role,
        "channel": message.channel,
        "recipient": message.recipient,
        "content_type": message.content_type,
        "text": message.text,
        "end": message.end,
    }
    return {name: value for name, value in fields.items() if value is not None}
