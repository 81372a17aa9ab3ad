"""Commands about what was said: again, back, further, copied, looked at."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from gptoss_cli.errors import BadInput
from gptoss_cli.harmony.render import render
from gptoss_cli.language import translated
from gptoss_cli.markdown.styled import Span, plain
from gptoss_cli.markdown.wrap import wrap
from gptoss_cli.messages import Channel, Conversation, Effort, Role
from gptoss_cli.repl import clipboard, keyboard
from gptoss_cli.repl.slash import Command, no_more
from gptoss_cli.repl.talk import Talk
from gptoss_cli.session import is_summary
from gptoss_cli.units import padded

CODE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*\n(.*?)^ {0,3}\1", re.MULTILINE | re.DOTALL)


def _retry(talk: Talk, text: str) -> None:
    effort = talk.with_effort(text) if text else None
    if talk.session.turns:
        talk.session.asked_last()
    if effort is not None and effort is not talk.options.reasoning and talk.session.turns:
        before = talk.options.reasoning
        talk.set_options({"reasoning": effort})
        back = f"/set reasoning {before} goes back"
        talk.screen.say(
            f"reasoning is {effort} from here on ({back}); with another level all of the chat is read again"
        )
    talk.show(talk.session.retry())


def _undo(talk: Talk, text: str) -> None:
    no_more(text, "/undo")
    was_summary = bool(talk.session.turns) and is_summary(talk.session.turns[-1])
    asked = talk.session.undo()
    talk.recount()
    if was_summary:
        talk.screen.say(translated("the summary is forgotten; the conversation is whole again"))
    else:
        talk.screen.say(translated("forgotten: {message}", message=_first_line(asked)))


def _edit(talk: Talk, text: str) -> None:
    no_more(text, "/edit")
    before = talk.session.asked_last()[0].text
    with keyboard.as_usual():
        asked = clipboard.edited(before)
    if not asked.strip():
        raise BadInput("the text was empty; nothing is changed")
    talk.session.undo()
    talk.send(asked)


def _continue(talk: Talk, text: str) -> None:
    no_more(text, "/continue")
    talk.show(talk.session.resume())
    if talk.shown.done and not talk.shown.answer:
        talk.screen.say(translated("the model has nothing to add"))


def _copy(talk: Talk, text: str) -> None:
    what = text or "1"
    if what == "all":
        copied = "\n\n".join(message.text for message in talk.messages())
        if not copied:
            raise BadInput("nothing has been said yet")
    elif found := re.fullmatch(r"code(?:\s+(\d+))?", what):
        blocks = [block[1] for block in CODE.findall(talk.last_answer())]
        copied = _nth(blocks, int(found[1] or 1), "the last answer has {} of code", "block").rstrip("\n")
    elif what.isdecimal():
        copied = _nth(talk.answers()[::-1], int(what), "this chat has {}", "answer")
    else:
        raise BadInput(f"/copy takes a number, code N or all, not {what!r}")
    how = clipboard.copy(copied, talk.screen)
    lines = copied.count("\n") + 1
    talk.screen.say(f"copied {lines} line{'s' if lines > 1 else ''} {how}")


def _nth(found: Sequence[str], number: int, there_are: str, noun: str) -> str:
    if not 1 <= number <= len(found):
        count = f"{len(found) or 'no'} {noun}{'' if len(found) == 1 else 's'}"
        raise BadInput(f"{there_are.format(count)}, so there is no number {number}")
    return found[number - 1]


def _file(talk: Talk, text: str) -> None:
    if not text:
        raise BadInput("/file needs a path")
    path = Path(text.strip("'\"")).expanduser()
    if path in talk.attached:
        raise BadInput(f"{path.name} goes along already")
    lines = talk.attach(path)
    talk.screen.say(f"{path.name} ({lines} line{'' if lines == 1 else 's'}) goes along with your next message")


def _thoughts(talk: Talk, text: str) -> None:
    no_more(text, "/thoughts")
    thoughts = [
        message.text
        for message in (talk.session.turns[-1] if talk.session.turns else [])
        if message.channel is Channel.ANALYSIS and not message.recipient
    ]
    said = "\n".join(thoughts) or talk.shown.thinking
    if not said.strip():
        raise BadInput("there were no thoughts")
    width = talk.screen.size()[0]
    talk.screen.dim("\n".join(plain(line) for line in wrap([Span(said.rstrip("\n"))], width)) + "\n")


def _raw(talk: Talk, text: str) -> None:
    no_more(text, "/raw")
    if not talk.session.turns:
        raise BadInput("nothing has been asked yet")
    tokenizer = talk.loading.chat().tokenizer
    asked, *reply = talk.session.turns[-1]
    ids = list(render(Conversation((asked,)), tokenizer, next_role=None).tokens)
    for message in reply:
        ids += message.tokens or render(Conversation((message,)), tokenizer, next_role=None).tokens
    talk.screen.tell(tokenizer.decode(ids))


def _stats(talk: Talk, text: str) -> None:
    no_more(text, "/stats")
    lines = talk.statistics(talk.shown)
    if not lines:
        raise BadInput("nothing has been answered yet")
    for line in lines:
        talk.screen.tell(line)


def _context(talk: Talk, text: str) -> None:
    no_more(text, "/context")
    session, count = talk.session, talk.loading.count
    whole, limit = count(session.conversation), talk.loading.limit()
    opening = count(Conversation(session.opening))
    asked = sum(count(Conversation((each,))) for turn in session.seen for each in turn if each.role is Role.USER)
    rows = [
        (translated("system text, preset"), opening),
        (translated("your messages"), asked),
        (translated("answers"), max(0, whole - opening - asked)),
        (translated("free"), max(0, limit - whole)),
        (translated("all"), limit),
    ]
    for name, tokens in rows:
        talk.screen.tell(f"{padded(name, 20)}{tokens:>9,}  {tokens / limit:>6.1%}")
    if session.left_out:
        talk.screen.tell(f"left out: the oldest {session.left_out} of {len(session.turns)} turns")


def _compact(talk: Talk, text: str) -> None:
    no_more(text, "/compact")
    before = len(talk.session.turns)
    talk.show(talk.session.compact(), stopped=translated("stopped; the conversation is as it was"))
    if len(talk.session.turns) == before:
        return
    talk.warned = False
    talk.recount()
    talk.screen.say(translated("this summary now stands for what was said"))


def _first_line(text: str) -> str:
    first = text.strip().split("\n", 1)[0]
    return first if len(first) <= 60 else first[:59] + "…"


def _efforts(_talk: Talk, given: Sequence[str]) -> Iterable[str]:
    return () if given else [str(effort) for effort in Effort]


def _copyable(_talk: Talk, given: Sequence[str]) -> Iterable[str]:
    return () if given else ("all", "code")


COMMANDS = (
    Command("/retry", "/retry [LEVEL]", "answer the last message again, at another reasoning level", _retry, _efforts),
    Command("/undo", "/undo", "forget the last message and its answer", _undo),
    Command("/edit", "/edit", "change the last message in your editor, and send it", _edit),
    Command("/continue", "/continue", "go on with an answer that was cut or stopped", _continue),
    Command("/copy", "/copy [N|code N|all]", "copy the last answer, a block of its code, or all", _copy, _copyable),
    Command(
        "/file", "/file PATH", "attach a text file to the next message (@PATH in it does too)", _file, takes_file=True
    ),
    Command("/thoughts", "/thoughts", "what the model thought for the last answer", _thoughts),
    Command("/raw", "/raw", "the last exchange as the model read and wrote it", _raw),
    Command("/stats", "/stats", "tokens and times of the last answer", _stats),
    Command("/context", "/context", "what fills the context", _context),
    Command("/compact", "/compact", "put a summary in place of what was said", _compact),
)
