"""The interactive chat: a prompt, slash commands, answers. No error ends it."""

import re
import signal
import traceback
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gptoss_cli.errors import BadInput, GptossError
from gptoss_cli.language import translated
from gptoss_cli.messages import Role
from gptoss_cli.repl import keyboard
from gptoss_cli.repl.completion import SlashCompleter, Words
from gptoss_cli.repl.prompt import Prompt
from gptoss_cli.repl.slash import Again, Command, Leave, find, sessions, setting, split, turns, unquoted
from gptoss_cli.repl.talk import Talk
from gptoss_cli.repl.wording import in_chat

HELP = Command("/help", "/help, /?", "this list; /? shortcuts, /? set and /? show tell more", lambda _talk, _text: None)
COMMANDS = (*setting.COMMANDS, *turns.COMMANDS, *sessions.COMMANDS, HELP)
AT_FILE = re.compile(r"(?:^|(?<=\s))@(\S+)")

SHORTCUTS = (
    ("Enter", "send"),
    ("Alt-Enter, Ctrl-J, \\ Enter", "a new line"),
    ('"""', "begin and end a message of several lines"),
    ("Ctrl-C", "stop the answer; clear what is typed; twice: leave"),
    ("Ctrl-D", "leave"),
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
        self._prompt = Prompt(
            history_file,
            SlashCompleter(lambda: after, files),
            talk.bar,
            colour=talk.screen.colour,
            placeholder=translated("Send a message (/? for help)"),
            hint=translated("Ctrl-D or /bye leaves; Ctrl-C once more, too"),
        )
        talk.redraw = self._prompt.redraw
        talk.agreed = self._prompt.agreed

    def run(self, first: str = "") -> None:
        """Until the user leaves. first: stands in the first prompt. The model loads once the prompt is seen."""
        before = signal.signal(signal.SIGINT, keyboard.nothing)
        try:
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
                    self._take(line)
            except Leave:
                return
            except Again as again:
                text = again.text
            except KeyboardInterrupt:
                self._talk.screen.say(translated("stopped"))
            except GptossError as error:
                self._complain(error)
            except OSError as error:
                what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
                self._complain(GptossError(what))
            except Exception as error:  # whatever it is, the conversation is worth more
                self._bug(error)

    def _take(self, line: str) -> None:
        if not line.strip():
            return
        if line.startswith("/") and not line.startswith("//"):
            name, rest = split(line)
            if name in ("/?", "/help"):
                self._help(rest)
            else:
                find(name, COMMANDS).run(self._talk, rest)
            return
        text = unquoted(line[1:] if line.startswith("//") else line)
        try:
            for path in _named_files(text):
                if path not in self._talk.attached:
                    self._talk.attach(path)
            message = self._talk.with_attached(text)
        except BadInput as error:
            self._talk.attached.clear()
            self._talk.screen.complain(error)
            raise Again(line) from None
        self._talk.send(message)

    def _complain(self, error: GptossError) -> None:
        self._talk.screen.complain(GptossError(in_chat(str(error)), hint=error.hint and in_chat(error.hint)))
        turns = self._talk.session.turns
        if turns and turns[-1][-1].role is Role.USER:
            self._talk.screen.say(translated("/retry asks again, /undo forgets the message"))

    def _help(self, topic: str) -> None:
        match topic:
            case "":
                rows = [(each.usage, each.purpose) for each in COMMANDS]
            case "shortcuts":
                rows = list(SHORTCUTS)
            case "set":
                rows = [(f"/set {name}", "") for name in setting.SETTINGS]
                rows += [("parameters:", ", ".join(setting.PARAMETERS))]
            case "show":
                rows = [(f"/show {name}", "") for name in setting.SHOWN]
            case _:
                command = find(topic if topic.startswith("/") else f"/{topic}", COMMANDS)
                rows = [(command.usage, command.purpose)]
        width = max(len(name) for name, _ in rows) + 2
        for name, purpose in rows:
            self._talk.screen.tell(f"  {name:<{width}}{purpose}".rstrip())

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


def _named_files(text: str) -> Iterator[Path]:
    """The files that stand in `text` behind an @; other words with an @ are only words."""
    for word in AT_FILE.findall(text):
        for name in (word, word.rstrip(".,;:!?)\"'")):
            path = Path(name).expanduser()
            if path.is_file():
                yield path
                break
