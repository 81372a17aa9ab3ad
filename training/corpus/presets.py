"""The system texts of the presets that come with the package: `tiny` may be given any of them."""

from functools import cache

from gptoss_cli import modelfile
from gptoss_cli.cli.create import presets

IN_CHINESE = "zh-tw"  # asks for answers in Chinese, whatever the question's language


@cache
def text(name: str) -> str:
    """The SYSTEM text of a preset."""
    return modelfile.parse(presets()[name]).values("system")[-1]


@cache
def changing_nothing(language: str) -> tuple[str, ...]:
    """Those after which an answer in `language` is as it is without them; what else they ask for is beyond `tiny`."""
    return tuple(text(name) for name in sorted(presets()) if name != IN_CHINESE or language == "Chinese")
