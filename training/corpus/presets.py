"""The system texts of the presets that come with the package: `tiny` may be given any of them."""

from functools import cache
from importlib import resources

from gptoss_cli import modelfile

IN_CHINESE = "zh-tw"  # asks for answers in Chinese, whatever the question's language


@cache
def text(name: str) -> str:
    """The SYSTEM text of a preset."""
    file = resources.files("gptoss_cli") / "modelfiles" / f"{name}.Modelfile"
    return modelfile.parse(file.read_text(encoding="utf-8")).values("system")[-1]


@cache
def changing_nothing(language: str) -> tuple[str, ...]:
    """Those after which an answer in `language` is as it is without them; what else they ask for is beyond `tiny`."""
    folder = resources.files("gptoss_cli") / "modelfiles"
    names = sorted(each.name.partition(".")[0] for each in folder.iterdir() if each.name.endswith(".Modelfile"))
    return tuple(text(name) for name in names if name != IN_CHINESE or language == "Chinese")
