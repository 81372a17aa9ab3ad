"""The commands: each reads its arguments, calls one verb and shows the result."""

import errno
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from types import FrameType
from typing import NoReturn

import typer

from gptoss_cli import __version__
from gptoss_cli.cli import appearance, argv, models
from gptoss_cli.cli.asking import can_chat
from gptoss_cli.cli.bench import measure
from gptoss_cli.cli.chat import chat
from gptoss_cli.cli.completion import completion
from gptoss_cli.cli.create import create
from gptoss_cli.cli.debug import debug
from gptoss_cli.cli.disk import prune, verify
from gptoss_cli.cli.doctor import doctor
from gptoss_cli.cli.history import history
from gptoss_cli.cli.imports import import_models
from gptoss_cli.cli.pull import pull
from gptoss_cli.cli.run import run
from gptoss_cli.cli.settings import config
from gptoss_cli.cli.workers import list_running, stop
from gptoss_cli.errors import BadInput, GptossError, NetworkError
from gptoss_cli.terminal import safe

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM

app = typer.Typer(
    name="gptoss",
    help="Run OpenAI's gpt-oss models from a terminal.",
    epilog="First try: gptoss run tiny 'What can you do?'",
    add_completion=False,  # Typer's own would rewrite shell start-up files
    rich_markup_mode=None,  # plain help: half the start-up time
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("chat", short_help="Talk to a model.")(chat)
app.command(short_help="Answer one prompt.", options_metavar="[OPTIONS] [MODEL]")(run)
app.command("pull", short_help="Fetch a model from the Hub.")(pull)
app.command("create", short_help="Make a model from a Modelfile.")(create)
app.command("list", short_help="The models on this machine.")(models.list_models)
app.command("ls", hidden=True)(models.list_models)
app.command("ps", short_help="The models that are loaded.")(list_running)
app.command("stop", short_help="Unload models.")(stop)
app.command("show", short_help="What a model is.")(models.show)
app.command("where", short_help="The file with a model's weights.")(models.where)
app.command("cp", short_help="Give a model a second name.")(models.copy)
app.command("import", short_help="Name models that other tools have here.")(import_models)
app.command("rm", short_help="Forget models by name.")(models.remove)
app.command("verify", short_help="Whether weights are what they were.")(verify)
app.command("prune", short_help="Delete what takes room for nothing.")(prune)
app.command("bench", short_help="How fast a model is here.")(measure)
app.command("doctor", short_help="What is there, and what is wrong.")(doctor)
app.add_typer(history)
app.add_typer(config)
app.command("completion", short_help="Tab completion for your shell.")(completion)
app.add_typer(debug)

# Typer vendors click privately; its public BadParameter leads to the base of all usage errors
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class Terminated(BaseException):
    """SIGTERM, raised in the main thread so that everything is closed on the way out."""


@app.callback(invoke_without_command=True)
def main(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", "-V", help="Print the version."),
    color: str = typer.Option(
        None, "--color", metavar="WHEN", help="auto, always or never; it may also stand behind the command."
    ),
) -> None:
    """Run OpenAI's gpt-oss models from a terminal."""
    if version:
        print(f"gptoss {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        if can_chat():
            appearance.choose(color)
            chat()
            raise typer.Exit
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)
    if not {"-h", "--help"} & set(context.args):
        with suppress(BadInput) if context.invoked_subcommand == "doctor" else nullcontext():  # it tells of it itself
            appearance.choose(color)


def run_app(arguments: Sequence[str]) -> int:
    """Run the command of `arguments` and return its exit code. May end the process by SIGPIPE."""
    signal.signal(signal.SIGTERM, _raise_terminated)
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    rewritten = argv.rewrite(arguments)
    try:
        code = app(args=rewritten, standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except GptossError as error:
        _tell(error, rewritten)
        return error.exit_code
    except UsageError as error:
        _complain(error)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Terminated:
        return TERMINATED
    except BrokenPipeError:
        _die_of_sigpipe()
    except OSError as error:
        if error.errno not in (*DISK_FULL, errno.EIO):
            raise
        _discard_output()
        where = error.filename or "standard output"
        print(f"gptoss: {where} cannot be written: {error.strerror}", file=sys.stderr)
        return NetworkError.exit_code if error.errno in DISK_FULL else GptossError.exit_code
    except SystemExit as end:  # Typer's answer to a broken pipe would be exit code 1
        if isinstance(end.__context__, BrokenPipeError):
            _die_of_sigpipe()
        raise
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _open_closed_streams() -> None:
    """What the caller has closed (`>&-`, a daemon) becomes /dev/null, or the next file opened would be stdout."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, open(number, "w" if number else "r"))  # noqa: SIM115


def _discard_output() -> None:
    """What is still in the buffer of stdout would raise once more when the interpreter closes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _raise_terminated(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def _tell(error: GptossError, arguments: Sequence[str]) -> None:
    """One line, and what to do; an object when the output is JSON."""
    if "--json" in arguments or "--jsonl" in arguments:
        told = {"error": {"code": error.code, "message": str(error), "hint": error.hint}}
        print(json.dumps(told, ensure_ascii=False), file=sys.stderr)
        return
    print(f"gptoss: {safe(str(error))}", file=sys.stderr)
    if error.hint:
        print(f"  {safe(error.hint)}", file=sys.stderr)


def _complain(error: Exception) -> None:
    """What is wrong with the arguments, in one line, and where help is."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "gptoss"
    print(f"gptoss: {safe(message[:1].lower() + message[1:].rstrip('.'))}", file=sys.stderr)
    print(f"  {command} --help lists what there is", file=sys.stderr)


def _die_of_sigpipe() -> NoReturn:
    """The reader is gone (`| head -1`): end as programs in C do, so that the shell sees 141."""
    _discard_output()
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    sys.exit(141)
