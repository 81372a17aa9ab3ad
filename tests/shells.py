"""bash, zsh or fish on a real pseudo-terminal, for tests of what Tab does there.

In it `gptoss` is a function that prints its arguments, so that what was completed is seen as the shell reads it; the
completion itself calls the program.
"""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import TracebackType

PATIENCE_S = 30.0
END = "<end>"

STARTS = {
    "bash": (
        ["bash", "--noprofile", "--norc", "-i"],
        "bind 'set show-all-if-ambiguous on' 'set completion-query-items 0' 'set page-completions off'; "
        "bind 'set enable-bracketed-paste off' 2>/dev/null; bind 'set bell-style none'; HISTFILE=; PS1='%'; "
        "gptoss() {{ printf '[%s]' \"$@\"; echo '<e''nd>'; }}; source {script}; echo '<e''nd>'",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "PS1='%'; unsetopt beep prompt_sp; zle_bracketed_paste=(); LISTMAX=1000; "
        "setopt no_list_ambiguous no_auto_menu; "
        "gptoss() {{ printf '[%s]' \"$@\"; echo '<e''nd>'; }}; source {script}; echo '<e''nd>'",
    ),
}


def program(folder: Path) -> Path:
    """A folder for PATH in which `gptoss` is the program under test."""
    folder.mkdir(exist_ok=True)
    path = folder / "gptoss"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -m gptoss_cli "$@"\n')
    path.chmod(0o755)
    return folder


class Shell:
    """`name` in `folder`, with the completion script at `script`."""

    def __init__(self, name: str, script: Path, environment: dict[str, str], folder: Path) -> None:
        command, begin = STARTS[name]
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 200, 200, 0, 0))
        self._process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment | {"TERM": "dumb" if name == "bash" else "xterm"},
            cwd=folder,
            start_new_session=True,
        )
        os.close(slave)
        self._enter(begin.format(script=script) + "\n")

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, _1: type[BaseException] | None, _2: BaseException | None, _3: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)

    def tab(self, line: str) -> list[str]:
        """The arguments that the command has when Tab is pressed behind `line`, and then Enter."""
        told = self.seen(line)
        return re.findall(r"\[([^\]]*)\]", told[told.rindex("\n", 0, told.rindex(END)) :])

    def seen(self, line: str) -> str:
        """All that the terminal gets for `line`, Tab and Enter."""
        return self._enter(line + "\t\n")

    def _enter(self, keys: str) -> str:
        os.write(self._master, keys.encode())
        until = time.monotonic() + PATIENCE_S
        seen = ""
        while END not in seen:
            assert select.select([self._master], [], [], max(0.0, until - time.monotonic()))[0], seen
            seen += os.read(self._master, 65536).decode(errors="replace")
        return seen
