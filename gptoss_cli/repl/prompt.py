"""Where the user types: keys, several lines, pastes, history, completion, the bar below. The door to prompt_toolkit."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.application.current import get_app
from prompt_toolkit.application.run_in_terminal import in_terminal, run_in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import Completer
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, is_searching
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.input.typeahead import clear_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.styles import Style

from gptoss_cli.errors import GptossError
from gptoss_cli.repl import clipboard, keyboard
from gptoss_cli.repl.inputs import InputHistory
from gptoss_cli.repl.quotes import is_open
from gptoss_cli.repl.visible import VisibleProcessor, visible

LONG_PASTE, WIDE_PASTE = 12, 2000  # lines, characters; more are shown as a chip
STYLE = Style.from_dict(
    {
        "bottom-toolbar": "noreverse fg:ansibrightblack",
        "placeholder": "fg:ansibrightblack",
        "prompt": "bold",
        "control": "reverse",
    }
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
        complain: Callable[[GptossError], None],
        *,
        colour: bool,
        placeholder: str,
        hint: str,
    ) -> None:
        """complain: says what went wrong. hint: what Ctrl-C says when there is nothing to clear."""
        self._chips: dict[str, str] = {}
        self._interrupted_at = -keyboard.TWICE_WITHIN_S
        self._complain, self._hint = complain, hint
        self._is_first, self._in_editor = True, False
        self.history = InputHistory(history_file, self.expanded)
        self._session: PromptSession[str] = PromptSession(
            FormattedText([("class:prompt", ">>> ")]),
            multiline=True,
            prompt_continuation=lambda width, _number, _soft: "... ".rjust(width),
            history=self.history,
            completer=completer,
            complete_while_typing=False,
            key_bindings=self._keys(),
            bottom_toolbar=lambda: [("class:bottom-toolbar", visible(bar()))],
            placeholder=lambda: [] if is_searching() or get_app().is_done else [("class:placeholder", placeholder)],
            style=STYLE,
            color_depth=None if colour else ColorDepth.DEPTH_1_BIT,
            input_processors=[VisibleProcessor()],
            enable_open_in_editor=False,
            enable_suspend=True,
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
            with keyboard.typed_before(self._session.app.input) if self._is_first else nullcontext():
                self._is_first = False
                return self._asked(text)
        except _Terminated:  # the terminal is as it was; now as whoever called has it
            signal.signal(signal.SIGTERM, before)
            signal.raise_signal(signal.SIGTERM)
            raise EOFError from None
        finally:
            signal.signal(signal.SIGTERM, before)
            self._session.app.after_render -= after_render
            self._chips.clear()

    def _asked(self, text: str) -> str:
        typed = self.expanded(self._session.prompt(default=text, pre_run=self._listen))
        # what is not UTF-8 comes as halves of surrogates, which nobody could write or read
        return typed.encode(errors="surrogateescape").decode(errors="replace")

    def _is_second_interrupt(self) -> bool:
        """Whether Ctrl-C came twice in an empty prompt; the first is answered with the hint."""
        now = time.monotonic()
        if now - self._interrupted_at < keyboard.TWICE_WITHIN_S:
            return True
        self._interrupted_at = now
        run_in_terminal(lambda: print(self._hint))
        return False

    def agreed(self, question: str) -> bool:
        """Whether the user answers with y and Enter; what was typed or pasted before is no answer, and is dropped.

        Raises KeyboardInterrupt on Ctrl-C.
        """
        keys = self._session.app.input
        keyboard.forget_typed()
        clear_typeahead(keys)
        asking: PromptSession[str] = PromptSession(f"{question} (y/N) ", input=keys, output=self._session.output)
        try:
            return asking.prompt().strip().lower() in ("y", "yes")
        except EOFError:
            return False

    def _listen(self) -> None:
        """An exception out of a signal handler would leave the terminal as the prompt needs it."""
        app, loop = self._session.app, asyncio.get_running_loop()
        loop.set_exception_handler(self._failed)  # prompt_toolkit's own shows a traceback and waits for Enter
        if os.name != "nt":
            loop.add_signal_handler(signal.SIGTERM, lambda: app.exit(exception=_Terminated()))

    def _failed(self, _loop: object, context: dict[str, Any]) -> None:
        """A key, a completion or a redraw did not work: said in one line; what is typed stays."""
        error = context.get("exception")
        if error is None or not self._session.app.is_running:
            return  # something that was given up when the prompt ended, as it is collected
        what = f"{type(error).__name__}: {error}"
        failure = GptossError(f"a bug in gptoss, please report it: {what}; what you typed is as it was")
        with suppress(RuntimeError):  # no loop runs any more
            run_in_terminal(lambda: self._complain(failure))

    def expanded(self, text: str) -> str:
        """`text` with what its chips stand for."""
        if not self._chips:
            return text
        chips = "|".join(map(re.escape, self._chips))  # at once: what was pasted may look like a chip
        return re.sub(chips, lambda found: self._chips[found[0]], text)

    def redraw(self) -> None:
        """Show what has changed in the bar. For any thread."""
        if self._session.app.is_running:
            with suppress(RuntimeError):  # the prompt has ended at this moment, and its loop with it
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
        keys.add(Keys.Vt100MouseEvent)(lambda _event: None)  # nobody asked for them; pasted colours look like one
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
        if self._in_editor:  # Ctrl-C there is the editor's; the terminal sends it to both
            return
        if event.current_buffer.text:
            event.current_buffer.reset()
        elif self._is_second_interrupt():
            event.app.exit(exception=EOFError)

    def _behind_chip(self) -> bool:
        before = self._session.default_buffer.document.text_before_cursor
        return any(before.endswith(chip) for chip in self._chips)

    def _delete_chip(self, event: KeyPressEvent) -> None:
        before = event.current_buffer.document.text_before_cursor
        chip = max((chip for chip in self._chips if before.endswith(chip)), key=len)
        event.current_buffer.delete_before_cursor(len(chip))

    def _edit(self, event: KeyPressEvent) -> None:
        if not self._in_editor:
            self._in_editor = True
            event.app.create_background_task(self._edited(event.current_buffer))

    async def _edited(self, buffer: Buffer) -> None:
        """Take what the editor leaves; nothing is changed when it cannot be started or fails."""
        text = self.expanded(buffer.text)
        edited = text
        try:
            async with in_terminal():
                try:
                    edited = await asyncio.get_running_loop().run_in_executor(None, clipboard.edited, text)
                except GptossError as error:
                    self._complain(error)
                except OSError as error:
                    self._complain(GptossError(f"the editor got no file: {error.strerror or error}"))
        finally:
            self._in_editor = False
        if edited != text:
            buffer.document = Document(edited)

    def _paste(self, event: KeyPressEvent) -> None:
        text = event.data.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.count("\n") + 1
        if lines > LONG_PASTE or len(text) > WIDE_PASTE:
            chip = f"[pasted {lines} lines]" if lines > LONG_PASTE else f"[pasted {len(text):,} characters]"
            while chip in self._chips or chip in event.current_buffer.text:
                chip = chip[:-1] + "'" + "]"
            self._chips[chip] = text
            text = chip
        event.current_buffer.insert_text(text)


def _new_line(event: KeyPressEvent) -> None:
    event.current_buffer.insert_text("\n")
