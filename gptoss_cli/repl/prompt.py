"""Where the user types: keys, several lines, pastes, history, completion, the bar below. The door to prompt_toolkit."""

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session
from prompt_toolkit.application.run_in_terminal import run_in_terminal
from prompt_toolkit.completion import Completer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, is_searching
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.plain_text import PlainTextOutput
from prompt_toolkit.shortcuts import confirm
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import is_dumb_terminal

from gptoss_cli.repl.inputs import InputHistory

LONG_PASTE = 12  # lines; more are shown as a chip
TWICE_WITHIN_S = 2.0
QUOTES = '"""'
OPENED = re.compile(r'\s*(?:/set\s+system\s+)?"""')
STYLE = Style.from_dict(
    {"bottom-toolbar": "noreverse fg:ansibrightblack", "placeholder": "fg:ansibrightblack", "prompt": "bold"}
)


class _Terminated(Exception):
    """SIGTERM came while the user was asked."""


class Prompt:
    """The line editor. bar: the text of the last row, asked for at every redraw."""

    def __init__(
        self,
        history_file: Path,
        completer: Completer,
        bar: Callable[[], str],
        *,
        colour: bool,
        placeholder: str,
        hint: str,
    ) -> None:
        """hint: what Ctrl-C says when there is nothing to clear."""
        self._chips: dict[str, str] = {}
        self._interrupted_at = -TWICE_WITHIN_S
        self._hint = hint
        self.history = InputHistory(history_file, self.expanded)
        # a dumb terminal would obey nothing that is written to set up another one
        with create_app_session(output=PlainTextOutput(sys.stdout)) if is_dumb_terminal() else nullcontext():
            self._session: PromptSession[str] = PromptSession(
                FormattedText([("class:prompt", ">>> ")]),
                multiline=True,
                prompt_continuation=lambda width, _number, _soft: "... ".rjust(width),
                history=self.history,
                completer=completer,
                complete_while_typing=False,
                key_bindings=self._keys(),
                bottom_toolbar=lambda: [("class:bottom-toolbar", bar())],
                placeholder=lambda: [] if is_searching() else [("class:placeholder", placeholder)],
                style=STYLE,
                color_depth=None if colour else ColorDepth.DEPTH_1_BIT,
                enable_open_in_editor=False,
                reserve_space_for_menu=4,
            )
        # a terminal that does not say where its cursor is has no bar below; it needs no warning in every chat
        self._session.app.renderer.cpr_not_supported_callback = lambda: None

    def ask(self, text: str = "", *, when_drawn: Callable[[], None] | None = None) -> str:
        """What the user sends; `text` is there to begin with. when_drawn is called once the prompt can be seen.

        Raises EOFError when the user leaves (Ctrl-D, or Ctrl-C twice).
        """
        drawn = False

        def after_render(_app: object) -> None:
            nonlocal drawn
            if not drawn and when_drawn:
                drawn = True
                when_drawn()

        before = signal.getsignal(signal.SIGTERM)
        self._session.app.after_render += after_render
        try:
            return self.expanded(self._session.prompt(default=text, pre_run=self._listen))
        except _Terminated:  # the terminal is as it was; now as whoever called has it
            signal.signal(signal.SIGTERM, before)
            signal.raise_signal(signal.SIGTERM)
            raise EOFError from None
        finally:
            signal.signal(signal.SIGTERM, before)
            self._session.app.after_render -= after_render
            self._chips.clear()

    def agreed(self, question: str) -> bool:
        """The user's y or n. Raises KeyboardInterrupt on Ctrl-C."""
        with create_app_session(output=self._session.output):
            return confirm(question, " (y/n) ")

    def _listen(self) -> None:
        """An exception out of a signal handler would leave the terminal as the prompt needs it."""
        if os.name != "nt":
            app = self._session.app
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: app.exit(exception=_Terminated()))

    def expanded(self, text: str) -> str:
        """`text` with what its chips stand for."""
        if not self._chips:
            return text
        chips = "|".join(map(re.escape, self._chips))  # at once: what was pasted may look like a chip
        return re.sub(chips, lambda found: self._chips[found[0]], text)

    def redraw(self) -> None:
        """Show what has changed in the bar. For any thread."""
        if self._session.app.is_running:
            self._session.app.invalidate()

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        typing = ~is_searching  # Ctrl-R has keys of its own
        keys.add("enter", filter=typing)(self._enter)
        keys.add("escape", "enter")(_new_line)
        keys.add("c-j")(_new_line)
        keys.add("c-c", filter=typing)(self._interrupt)
        keys.add("<sigint>")(self._interrupt)
        keys.add("backspace", filter=Condition(self._behind_chip))(self._delete_chip)
        keys.add("c-x", "c-e")(self._edit)
        keys.add(Keys.BracketedPaste)(self._paste)
        return keys

    def _enter(self, event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.is_cursor_at_the_end and buffer.text.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        elif is_open(buffer.text):
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    def _interrupt(self, event: KeyPressEvent) -> None:
        now = time.monotonic()
        if event.current_buffer.text:
            event.current_buffer.reset()
        elif now - self._interrupted_at < TWICE_WITHIN_S:
            event.app.exit(exception=EOFError)
        else:
            run_in_terminal(lambda: print(self._hint))
            self._interrupted_at = now

    def _behind_chip(self) -> bool:
        before = self._session.default_buffer.document.text_before_cursor
        return any(before.endswith(chip) for chip in self._chips)

    def _delete_chip(self, event: KeyPressEvent) -> None:
        before = event.current_buffer.document.text_before_cursor
        chip = max((chip for chip in self._chips if before.endswith(chip)), key=len)
        event.current_buffer.delete_before_cursor(len(chip))

    def _edit(self, event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        buffer.document = Document(self.expanded(buffer.text))
        buffer.open_in_editor(validate_and_handle=False)

    def _paste(self, event: KeyPressEvent) -> None:
        text = event.data.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.count("\n") + 1
        if lines > LONG_PASTE:
            chip = f"[pasted {lines} lines]"
            while chip in self._chips or chip in event.current_buffer.text:
                chip = chip[:-1] + "'" + "]"
            self._chips[chip] = text
            text = chip
        event.current_buffer.insert_text(text)


def is_open(text: str) -> bool:
    """Whether `text` begins a block in triple quotes and has not ended it, which a line that ends with them does."""
    if not OPENED.match(text):
        return False
    return text.count(QUOTES) % 2 == 1 or not text.rstrip().endswith(QUOTES)


def _new_line(event: KeyPressEvent) -> None:
    event.current_buffer.insert_text("\n")
