"""The interactive chat: a prompt, slash commands, answers. No error ends it."""

import os
import signal
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

from gptoss_cli.errors import BadInput, GptossError
from gptoss_cli.language import translated
from gptoss_cli.markdown.styled import Span, plain
from gptoss_cli.markdown.wrap import wrap
from gptoss_cli.repl import keyboard
from gptoss_cli.repl.completion import SlashCompleter, Words
from gptoss_cli.repl.lines import Lines
from gptoss_cli.repl.mentions import mentions
from gptoss_cli.repl.prompt import Prompt
from gptoss_cli.repl.quotes import unquoted
from gptoss_cli.repl.slash import Again, Command, Leave, find, sessions, setting, split, turns
from gptoss_cli.repl.talk import Talk
from gptoss_cli.repl.wording import in_chat
from gptoss_cli.terminal import cells, padded

HELP = Command("/help", "/help, /?", "this list; /? shortcuts, /? set and /? show tell more", lambda _talk, _text: None)
COMMANDS = (*setting.COMMANDS, *turns.COMMANDS, *sessions.COMMANDS, HELP)
ASKING = ("/retry", "/edit", "/continue")
MOST_PROBLEMS = 3  # a paste of code has many words with an @
LEAST_PURPOSE = 24  # columns; a purpose that has less stands in the next line

SHORTCUTS = (
    ("Enter", "send"),
    ("Alt-Enter, Ctrl-J, \\ Enter", "a new line"),
    ('"""', "begin and end a message of several lines"),
    ("Ctrl-C", "stop the answer; clear what is typed; twice: leave"),
    ("Ctrl-D", "leave"),
    ("Ctrl-Z", "suspend; fg comes back"),
    ("Ctrl-R, Up", "what was typed before"),
    ("Tab", "complete commands, models, and files after @"),
    ("Ctrl-X Ctrl-E", "write in your editor"),
    ("Ctrl-A, Ctrl-E, Ctrl-W, Ctrl-U", "begin and end of the line, delete a word, delete to the begin"),
)


class Repl:
    """The loop around one Talk."""

    def __init__(self, talk: Talk, history_file: Path) -> None:
        self._talk = talk
        after: dict[str, Words] = {each.name: self._words(each) for each in COMMANDS}
        files = frozenset(each.name for each in COMMANDS if each.takes_file)
        hint = translated("Ctrl-D or /bye leaves; Ctrl-C once more, too")
        self._prompt = (
            Prompt(
                history_file,
                SlashCompleter(lambda: after, files),
                talk.bar,
                talk.screen.complain,
                colour=talk.screen.colour,
                placeholder=translated("Send a message (/? for help)"),
                hint=hint,
            )
            if talk.screen.renders
            else Lines(history_file, hint)
        )
        talk.redraw = self._prompt.redraw
        talk.agreed = self._prompt.agreed

    def run(self, first: str = "") -> None:
        """Until the user leaves. first: stands in the first prompt. The model loads once the prompt is seen."""
        before = signal.signal(signal.SIGINT, keyboard.nothing)
        try:
            with keyboard.silent_keys(self._talk.screen):
                self._run(first)
        finally:
            signal.signal(signal.SIGINT, before)

    def _run(self, text: str) -> None:
        while True:
            self._prompt.history.enabled = self._talk.view.history
            try:
                line = self._prompt.ask(text, when_drawn=self._talk.loading.start)
            except EOFError:
                return
            text = ""
            try:
                with keyboard.one_interrupt():
                    keyboard.mark_pastes(self._talk.screen)
                    self._take(line)
            except Leave:
                return
            except Again as again:
                text = again.text
            except KeyboardInterrupt:
                self._talk.screen.say(translated("stopped"))
            except GptossError as error:
                self._complain(error, line)
            except OSError as error:
                what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
                self._complain(GptossError(what), line)
            except Exception as error:  # whatever it is, the conversation is worth more
                self._bug(error)

    def _take(self, line: str) -> None:
        if not line.strip():
            return
        if _is_command(line):
            name, rest = split(line)
            if name in ("/?", "/help"):
                self._help(rest)
            else:
                find(name, COMMANDS).run(self._talk, rest)
            return
        text = unquoted(line[1:] if line.startswith("//") else line)
        if not text.strip():
            return
        try:
            self._attach_mentioned(text)
            message = self._talk.with_attached(text)
        except BadInput as error:
            self._talk.attached.clear()
            self._talk.screen.complain(error)
            raise Again(line) from None
        self._talk.send(message)

    def _attach_mentioned(self, text: str) -> None:
        """The files that stand in `text` behind an @, each once; what looks like one and is none is said."""
        attached = {os.path.realpath(path.expanduser()) for path in self._talk.attached}
        found = list(mentions(text))
        for path in (each.path for each in found if each.path is not None):
            if os.path.realpath(path) not in attached:
                self._talk.attach(path)
        if problems := [each.problem for each in found if each.problem]:
            more = ", …" if len(problems) > MOST_PROBLEMS else ""
            told = ", ".join(problems[:MOST_PROBLEMS]) + more
            self._talk.screen.say(translated("{problems}: sent as text", problems=told))

    def _complain(self, error: GptossError, line: str) -> None:
        self._talk.screen.complain(GptossError(in_chat(str(error)), hint=error.hint and in_chat(error.hint)))
        asked = not _is_command(line) or split(line)[0] in ASKING
        if asked and self._talk.session.is_unanswered:
            self._talk.screen.say(translated("/retry asks again, /undo forgets the message"))

    def _help(self, topic: str) -> None:
        match topic:
            case "":
                rows = [(each.usage, translated(each.purpose)) for each in COMMANDS]
            case "shortcuts":
                rows = [(keys, translated(purpose)) for keys, purpose in SHORTCUTS]
            case "set":
                rows = [(f"/set {name}", "") for name in setting.SETTINGS]
                rows += [(translated("parameters:"), ", ".join(setting.PARAMETERS))]
            case "show":
                rows = [(f"/show {name}", "") for name in setting.SHOWN]
            case _:
                command = find(topic if topic.startswith("/") else f"/{topic}", COMMANDS)
                rows = [(command.usage, translated(command.purpose))]
        for line in folded(rows, self._talk.screen.size()[0]):
            self._talk.screen.tell(line)

    def _words(self, command: Command) -> Words:
        def words(given: Sequence[str]) -> Iterable[str]:
            try:
                return list(command.words(self._talk, given))
            except (GptossError, OSError):  # whoever runs the command is told
                return ()

        return words

    def _bug(self, error: Exception) -> None:
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
        self._talk.screen.say(f"a bug in gptoss, please report it: {what}; the conversation is as it was")


def _is_command(line: str) -> bool:
    return line.startswith("/") and not line.startswith("//")


def folded(rows: Sequence[tuple[str, str]], columns: int) -> list[str]:
    """Names and their purposes in two columns of a screen `columns` wide; on a narrow one a purpose stands below."""
    width = max(cells(name) for name, _ in rows) + 4
    beside = columns - width >= LEAST_PURPOSE
    margin = " " * (width if beside else 6)
    lines = []
    for name, purpose in rows:
        told = [plain(line) for line in wrap([Span(purpose)], columns - len(margin))] if purpose else []
        names = [plain(line) for line in wrap([Span(name)], columns - 2)]
        if beside and told:
            lines.append(f"  {padded(name, width - 2)}{told.pop(0)}")
        else:
            lines += [f"  {each}" for each in names]
        lines += [margin + each for each in told]
    return lines
