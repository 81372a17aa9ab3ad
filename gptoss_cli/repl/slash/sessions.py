"""Commands about chats and models: begin, load, save, find again, leave."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from gptoss_cli.errors import BadInput, GptossError
from gptoss_cli.files import check_new, check_writable, write_whole
from gptoss_cli.history import Saved, Turn
from gptoss_cli.history.export import FORMATS, exported, is_shown
from gptoss_cli.language import translated
from gptoss_cli.modelfile import Command as Instruction
from gptoss_cli.modelfile import Modelfile
from gptoss_cli.repl.replay import replay
from gptoss_cli.repl.slash import Command, Leave, no_more
from gptoss_cli.repl.talk import Talk
from gptoss_cli.terminal import safe
from gptoss_cli.units import clipped

MOST_LISTED = 20


def _load(talk: Talk, text: str) -> None:
    if not text:
        raise BadInput("/load needs the name of a model", hint="gptoss list shows what there is")
    talk.load(text)
    talk.screen.say(translated("{name} is loaded", name=talk.model.name))
    if talk.model.notice:
        talk.screen.say(talk.model.notice)


def _save(talk: Talk, text: str) -> None:
    if not text or len(text.split()) > 1:
        raise BadInput("/save needs a name for the model", hint="/save NAME; then: gptoss run NAME")
    if talk.library.is_named(text) and not talk.agreed(_replace(text)):
        raise BadInput(f"{text} is there already", hint="/save with another name keeps both")
    talk.library.create(text, _as_modelfile(talk), Path.cwd())
    talk.screen.say(translated("saved as {name}: gptoss run {name}", name=text))
    if talk.session.left_out:
        told = "the oldest turn" if talk.session.left_out == 1 else f"the {talk.session.left_out} oldest turns"
        talk.screen.say(f"without {told}, of which the model is not told any more")


def _as_modelfile(talk: Talk) -> Modelfile:
    """What makes the model as it is now: its base, options that differ from the default, what the model is told.

    After /compact that is the summary; turns that a full context has left out would not fit there, either.
    """
    commands = [Instruction("from", talk.model.name if talk.model.modelfile else talk.model.base)]
    commands.append(Instruction("system", talk.session.system or ""))
    for name, value in talk.options.changed().items():
        for each in value if isinstance(value, list) else [value]:
            commands.append(Instruction("parameter", str(each), name))
    before = [(role, text) for role, text in talk.model.messages]
    said = [(str(each.role), each.text) for turn in talk.session.seen for each in turn if is_shown(each)]
    commands += [Instruction("message", text, role) for role, text in (*before, *said) if text]
    return Modelfile(tuple(commands))


def _replace(name: object) -> str:
    return translated("{name} is there already. Replace it?", name=safe(str(name)))


def _new(command: str) -> Callable[[Talk, str], None]:
    def run(talk: Talk, text: str) -> None:
        no_more(text, command)
        talk.new()
        talk.screen.say(translated("a new conversation; the model remembers nothing of the old one"))

    return run


def _saved(talk: Talk) -> Saved:
    if (saved := talk.current()) is not None:
        return saved
    if not talk.saves:
        raise BadInput("this chat is not saved", hint="it was started with --no-save, or save = false is set")
    if talk.session.turns:
        raise BadInput("this chat is not saved", hint=talk.unsaved or None)
    raise BadInput("nothing has been said yet")


def _sessions(talk: Talk, text: str) -> None:
    no_more(text, "/sessions")
    current = talk.current()
    sessions = talk.history.sessions()
    for each in sessions[:MOST_LISTED]:
        mark = "*" if current and each.id == current.id else " "
        called = f"{each.name}: {each.title}" if each.name else each.title
        line = f"{mark} {each.id}  {each.changed[:16].replace('T', ' ')}  {each.model}  {called}"
        talk.screen.tell(clipped(safe(line), talk.screen.size()[0]))
    if len(sessions) > MOST_LISTED:
        talk.screen.say(translated("{count} older ones: gptoss history list", count=len(sessions) - MOST_LISTED))
    elif not sessions:
        talk.screen.say(translated("no conversation is saved yet"))


def _resume(talk: Talk, text: str) -> None:
    if not text:
        raise BadInput("/resume needs an id or a name", hint="/sessions lists them")
    saved = talk.history.find(text)
    talk.resume(saved)
    replay(talk)
    talk.screen.say(translated("goes on with {id}: {title}", id=saved.id, title=saved.name or saved.title[:60]))
    talk.loading.start()


def _name(talk: Talk, text: str) -> None:
    if not text:
        raise BadInput("/name needs a text")
    talk.history.change(_saved(talk).id, name=text)
    talk.screen.say(translated("this chat is called {name}", name=text))


def _export(talk: Talk, text: str) -> None:
    path = Path(text.strip("'\"")).expanduser()
    format = path.suffix.lstrip(".").lower()
    if format not in FORMATS:
        raise BadInput(f"/export needs a file that ends in .md, .json or .html, not {text!r}")
    check_writable(path)
    try:
        check_new(path, hint="/export to another file keeps both")
    except BadInput:
        if not talk.agreed(_replace(path)):
            raise
    write_whole(path, exported(*_as_saved(talk), format))
    talk.screen.say(translated("written to {path}", path=path))


def _as_saved(talk: Talk) -> tuple[Saved, list[Turn]]:
    """The whole conversation, also what could not be saved of it; the times of what was."""
    if not talk.session.turns:
        raise BadInput("nothing has been said yet")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    saved = Saved("unsaved", None, talk.model.name, {}, now, now, title=talk.session.turns[0][0].text[:80])
    times: dict[int, tuple[str, ...]] = {}
    if current := talk.current():
        with suppress(GptossError):  # what is in memory is the whole of it
            saved = talk.history.find(current.id)
            times = {turn.number: turn.times for turn in talk.history.turns(saved.id)}
    turns = []
    for number, messages in enumerate(talk.session.turns):
        known = times.get(number, ())[: len(messages)]
        turns.append(Turn(number, tuple(messages), known + (now,) * (len(messages) - len(known))))
    return saved, turns


def _leave(command: str) -> Callable[[Talk, str], None]:
    def run(_talk: Talk, text: str) -> None:
        no_more(text, command)
        raise Leave

    return run


def _model_names(talk: Talk, given: Sequence[str]) -> Iterable[str]:
    return () if given else [each.name for each in talk.library.all()]


def _session_ids(talk: Talk, given: Sequence[str]) -> Iterable[str]:
    if given:
        return ()
    return [word for each in talk.history.sessions(100) for word in (each.name, each.id) if word]


COMMANDS = (
    Command("/load", "/load MODEL", "talk to another model, from the beginning", _load, _model_names),
    Command("/save", "/save NAME", "make a model of the settings and what was said", _save, _model_names),
    Command("/new", "/new", "begin a new conversation; this one stays saved", _new("/new")),
    Command("/clear", "/clear", "the same", _new("/clear")),
    Command("/sessions", "/sessions", "the conversations that are saved", _sessions),
    Command("/resume", "/resume ID|NAME", "go on with one of them", _resume, _session_ids),
    Command("/name", "/name TEXT", "give this conversation a name", _name),
    Command("/export", "/export FILE", "write it to FILE.md, .json or .html", _export, takes_file=True),
    Command("/bye", "/bye", "leave; so does Ctrl-D", _leave("/bye")),
    Command("/exit", "/exit", "leave", _leave("/exit")),
)
