"""How gptoss looks and which language it speaks, decided once before a command runs."""

import os

from gptoss_cli import language, terminal
from gptoss_cli.config import Places, Settings, read_file
from gptoss_cli.errors import BadInput
from gptoss_cli.markdown import highlight


def choose(colour: str | None) -> None:
    """Apply `--color` and the settings `colour`, `language` and `theme`. Raises BadInput for a bad flag or variable.

    A mistake in config.toml is left to the commands that need the file: `gptoss config edit` has to work.
    """
    try:
        file = read_file(Places.of(os.environ).config_file)
    except BadInput:
        file = {}
    own = {name: value for name, value in file.items() if name in ("colour", "color", "language", "theme")}
    settings = Settings.resolve(flags={"colour": colour}, environment=_only_these(), preset={}, file=own)
    terminal.choose_colour(settings.colour)
    highlight.choose_theme(settings.theme)
    spoken = settings.language
    language.choose(language.of_environment(os.environ) if spoken == language.AUTO else spoken)


def _only_these() -> dict[str, str]:
    """The variables that matter here: a mistake in another is told by the command that reads it."""
    known = ("NO_COLOR", "FORCE_COLOR", "GPTOSS_COLOR", "GPTOSS_COLOUR", "GPTOSS_LANGUAGE", "GPTOSS_THEME")
    return {name: value for name, value in os.environ.items() if name in known}
