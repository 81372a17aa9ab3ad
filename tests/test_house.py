"""The house: files, versions and documents agree with the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import gptoss_cli
from gptoss_cli import errors

ROOT = Path(__file__).parent.parent


def test_the_changelog_has_the_version_of_the_package() -> None:
    newest = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == gptoss_cli.__version__


def test_every_error_class_is_documented() -> None:
    documented = {}
    for line in (ROOT / "docs/exit-codes.md").read_text().splitlines():
        if row := re.match(r"\| (\d+) \| `(\w+)` \|", line):
            documented[row[2]] = int(row[1])
    classes = [errors.GptossError, *errors.GptossError.__subclasses__()]
    assert {each.code: each.exit_code for each in classes} == documented


def test_modules_are_under_400_lines() -> None:
    long = {path: count for path in _modules() if (count := len(path.read_text().splitlines())) > 400}
    assert not long


def test_every_module_says_in_its_first_line_what_it_is_for() -> None:
    for path in _modules():
        first = path.read_text().split("\n", 1)[0]
        assert re.match(r'"""[^"]{10,}', first), f"{path}: {first}"


def test_the_file_tree_in_contributing_is_the_one_of_the_package() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    listed = dict(re.findall(r"^(gptoss_cli/\S+\.py) +(.+)$", text, re.MULTILINE))
    expected = {str(path.relative_to(ROOT)): _purpose(path) for path in _modules()}
    assert listed == expected


ENGINES = "numpy llama_cpp huggingface_hub httpx2 prompt_toolkit tiktoken"


@pytest.mark.parametrize(
    ("arguments", "heavy", "printed"),
    [
        (["--version"], f"typer pydantic rich platformdirs json {ENGINES}", f"gptoss {gptoss_cli.__version__}\n"),
        (["--help"], f"rich {ENGINES}", "run"),
        (["run", "--help"], f"rich {ENGINES}", "--reasoning"),
        (["run", "none", "hello"], ENGINES, ""),
        (["config", "list"], f"rich tomlkit filelock {ENGINES}", "temperature"),
        (["list"], ENGINES, "tiny"),
    ],
)
def test_a_command_starts_without_what_it_does_not_need(arguments: list[str], heavy: str, printed: str) -> None:
    code = (
        f"import sys; sys.argv = ['gptoss', *{arguments}]\n"
        "from gptoss_cli.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print('imported:', [name for name in '{heavy}'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed in done.stdout
    assert done.stdout.endswith("imported: []\n")


def _modules() -> list[Path]:
    return sorted(path for path in (ROOT / "gptoss_cli").rglob("*.py"))


def _purpose(path: Path) -> str:
    """The first sentence of the module's docstring."""
    line = path.read_text().split("\n", 1)[0].removeprefix('"""').removesuffix('"""')
    return line.split(". ")[0].rstrip(".")
