"""Whether there is a person to be asked."""

import os
import sys


def can_ask() -> bool:
    """Whether somebody sits there: both streams are terminals, and it is no CI job."""
    return sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")


def can_chat() -> bool:
    """Whether a command that says nothing of a chat may open one: what it says is seen, too."""
    return can_ask() and sys.stdout.isatty()
