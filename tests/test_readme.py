"""Every console block of README.md is run in a shell, and what it prints is what the block says (`...` is any text)."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


def _blocks() -> list[str]:
    return re.findall(r"^```console\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", _blocks(), ids=lambda block: block.split("\n", 1)[0][2:50])
def test_a_console_block_prints_what_it_says(block: str, tmp_path: Path) -> None:
    found = re.findall(r"^\$ (.+\n(?:> .*\n)*)((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    steps = [(command.replace("\n> ", "\n").rstrip("\n"), expected) for command, expected in found]
    assert steps
    marker = "----8<----"
    script = "".join(f"{command}\nset -- $?\nprintf '%s %s\\n' '{marker}' $1\n(exit $1)\n" for command, _ in steps)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8", "GPTOSS_HOME": str(tmp_path / "gptoss")}
    environment["GPTOSS_KEEP_ALIVE"] = "0"
    (tmp_path / "block.sh").write_text(script, encoding="utf-8")
    done = subprocess.run(
        ["bash", "block.sh"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=tmp_path,
        env=environment,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    *printed, rest = re.split(rf"{marker} (\d+)\n", done.stdout)
    assert rest == ""
    for (command, expected), output, code in zip(steps, printed[::2], printed[1::2], strict=True):
        pattern = re.escape(expected).replace(r"\.\.\.", ".+?" if "..." in expected else "")
        assert re.fullmatch(pattern, output, re.DOTALL), f"{command}\n--- printed\n{output}\n--- expected\n{expected}"
        # where any text will do, a message is not meant
        assert code == "0" or expected.startswith("gptoss: "), f"{command}\n--- ended with {code}\n{output}"


def test_the_readme_has_console_blocks() -> None:
    assert len(_blocks()) >= 6
