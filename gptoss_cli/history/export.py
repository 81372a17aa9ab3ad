"""A saved session as a document: Markdown, JSON, or a page that needs no other file. Pure."""

import html
import json
from collections.abc import Iterator, Sequence

from gptoss_cli.errors import BadInput
from gptoss_cli.history import Saved, Turn
from gptoss_cli.markdown.page import as_html
from gptoss_cli.messages import Channel, Message, Role

FORMATS = ("md", "json", "html")
TITLES = {Role.USER: "User", Role.ASSISTANT: "Assistant", Role.TOOL: "Tool"}


def exported(saved: Saved, turns: Sequence[Turn], format: str) -> str:
    """The whole session in `format`: `md`, `json` or `html`. Raises BadInput for another one."""
    match format:
        case "md":
            return _markdown(saved, turns)
        case "json":
            return json.dumps(session_object(saved, turns), ensure_ascii=False, indent=2) + "\n"
        case "html":
            return _page(saved, turns)
    raise BadInput(f"unknown format {format!r}", hint=f"known: {', '.join(FORMATS)}")


def session_object(saved: Saved, turns: Sequence[Turn]) -> dict[str, object]:
    """What --json says of a session; the keys are stable, turns count from 1."""
    return {
        **saved_object(saved),
        "messages": [
            {
                "turn": turn.number + 1,
                "role": str(message.role),
                "channel": message.channel and str(message.channel),
                "recipient": message.recipient,
                "name": message.name,
                "content": message.text,
                "complete": message.complete,
                "time": time,
            }
            for turn in turns
            for message, time in zip(turn.messages, turn.times, strict=True)
        ],
    }


def saved_object(saved: Saved) -> dict[str, object]:
    """A session in a list; the keys are stable."""
    return {
        "id": saved.id,
        "name": saved.name,
        "model": saved.model,
        "created": saved.created,
        "changed": saved.changed,
        "turns": saved.turns,
        "title": saved.title,
        "settings": dict(saved.settings),
    }


def is_shown(message: Message) -> bool:
    """Whether a reader of the conversation sees it: thoughts, calls and their results are not shown."""
    return message.channel is not Channel.ANALYSIS and not message.recipient and message.role is not Role.TOOL


def shown_messages(turns: Sequence[Turn]) -> Iterator[Message]:
    """What a reader of the conversation sees."""
    return (message for turn in turns for message in turn.messages if is_shown(message))


# What is obeyed and not seen: C0 but tab and newline, DEL and C1, which `cat` would give to a terminal, get
# a sign; the embeddings, overrides and isolates of bidirectional text (Unicode TR9), which reorder what is around them,
# go. Marks that stand for a single letter's direction stay.
CONTROLS = {
    **{code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"},  # Unicode's pictures of them
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
    **dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)]),
}


def visible(text: str) -> str:
    """`text` without anything that is obeyed and not seen, for documents that people read; JSON has it as it was."""
    return text.replace("\r\n", "\n").translate(CONTROLS)


def _markdown(saved: Saved, turns: Sequence[Turn]) -> str:
    parts = [f"# {_title(saved)}", f"*{saved.model}, {saved.created[:10]}, gptoss session {saved.id}*"]
    for message in shown_messages(turns):
        parts += [f"## {TITLES.get(message.role, str(message.role))}", message.text.strip("\n")]
        if not message.complete:
            parts.append("*(interrupted)*")
    return visible("\n\n".join(parts)) + "\n"


def _title(saved: Saved) -> str:
    return saved.name or saved.title[:80] or f"Session {saved.id}"


STYLE = """
body { max-width: 46rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.6 system-ui, sans-serif; color: #222 }
h2 { font-size: .9rem; color: #777; margin: 2rem 0 .3rem }
section.user { background: #f3f4f6; border-radius: .6rem; padding: .1rem 1rem }
section.user p { white-space: pre-wrap }
pre { background: #f6f8fa; padding: .8rem; overflow-x: auto; border-radius: .4rem }
code { font-family: ui-monospace, monospace; font-size: .9em }
table { border-collapse: collapse }
td, th { border: 1px solid #ccc; padding: .2rem .6rem }
p, li, td, th, h1 { unicode-bidi: plaintext }
pre { direction: ltr; unicode-bidi: isolate }
blockquote { border-left: 3px solid #ccc; margin-left: 0; padding-left: 1rem; color: #555 }
footer, .cut { color: #777; font-size: .85rem }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #16181c }
  section.user, pre { background: #24272d }
  td, th { border-color: #444 }
}
"""


def _page(saved: Saved, turns: Sequence[Turn]) -> str:
    title = html.escape(visible(_title(saved)))
    body = "\n".join(_section(message) for message in shown_messages(turns))
    return f"""<!doctype html>
<html>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
<h1 dir="auto">{title}</h1>
{body}
<footer><bdi>{html.escape(visible(saved.model))}</bdi>, {saved.created[:10]}, gptoss session {saved.id}</footer>
</body>
</html>
"""


def _section(message: Message) -> str:
    who = TITLES.get(message.role, str(message.role))
    if message.role is Role.USER:
        body = f"<p>{html.escape(visible(message.text))}</p>"
    else:
        body = as_html(visible(message.text))
    cut = "" if message.complete else '\n<p class="cut">(interrupted)</p>'
    return f'<h2>{who}</h2>\n<section class="{message.role}" dir="auto">\n{body.strip()}{cut}\n</section>'
