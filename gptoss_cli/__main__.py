"""The program `gptoss`: answers --version and the shell's Tab at once and leaves the rest to cli."""

import gc
import sys

from gptoss_cli import __version__


def main() -> None:
    """Entry point of the console script; ends the process with an exit code of docs/exit-codes.md."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"gptoss {__version__}")
        sys.exit(0)
    gc.set_threshold(20_000, 50, 100)  # imports make objects to keep: `list` 205 ms, not 212
    try:
        if sys.argv[1:2] == ["__complete"]:
            from gptoss_cli import completions  # 30 ms; what follows takes too long for a key press

            completions.answer(sys.argv[2:])
            sys.exit(0)
        from gptoss_cli.cli import run_app  # 0.2 s, most of it Typer: not for a version

        code = run_app(sys.argv[1:])
    except KeyboardInterrupt:  # during the imports, or while everything is closed
        code = 130
    gc.freeze()  # nothing is collected at the end: 0.15 s when huggingface_hub was imported
    sys.exit(code)


if __name__ == "__main__":
    main()
