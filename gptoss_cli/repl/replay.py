"""The last turns of a chat that goes on, shown again."""

from gptoss_cli.language import translated
from gptoss_cli.messages import Role
from gptoss_cli.repl.talk import Talk
from gptoss_cli.terminal import Screen

MESSAGES = 4
LINES, CHARACTERS = 10, 1000  # of what was asked


def replay(talk: Talk) -> None:
    """Show the last messages, and what is missing."""
    screen = talk.screen
    for message in talk.messages()[-MESSAGES:]:
        if message.role is Role.USER:
            _asked(message.text, screen)
        elif (page := talk.page()) is not None:
            page.feed(message.text)
            page.finish()
        else:
            screen.tell(message.text)
        if not message.complete:
            screen.say(translated("this answer was interrupted; /continue goes on with it"))
    if talk.session.is_unanswered:
        screen.say(translated("the last message has no answer; /retry asks again"))


def _asked(text: str, screen: Screen) -> None:
    lines = text.split("\n")
    for number, line in enumerate(lines[:LINES]):
        screen.tell(f"{'...' if number else '>>>'} {line[:CHARACTERS]}")
    if (more := len(lines) - LINES) > 0:
        screen.tell("... " + translated("[{count} more lines]", count=more))
