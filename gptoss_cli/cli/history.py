"""`gptoss history`: the saved chats, listed, shown, searched, exported, removed."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from gptoss_cli import terminal
from gptoss_cli.cli.asking import can_ask
from gptoss_cli.cli.models import Json, age, print_lines
from gptoss_cli.cli.numbers import whole
from gptoss_cli.config import Places
from gptoss_cli.engine.states import FOLDER, forget_session
from gptoss_cli.errors import BadInput, GptossError
from gptoss_cli.files import check_new, check_writable, write_whole
from gptoss_cli.history import History, Hit, Saved
from gptoss_cli.history.export import FORMATS, exported, saved_object, session_object
from gptoss_cli.language import translated
from gptoss_cli.terminal import Screen
from gptoss_cli.terminal.page import Page
from gptoss_cli.units import clipped

history = typer.Typer(name="history", help="The saved chats.", no_args_is_help=True, rich_markup_mode=None)
Session = Annotated[str, typer.Argument(metavar="ID|NAME", hidden=True)]


@history.command("list")
def list_sessions(
    count: Annotated[
        int | None, typer.Option("-n", metavar="N", parser=whole("-n", 1), help="Only the newest N.")
    ] = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Ids only.")] = False,
) -> None:
    """The saved chats, the one that changed last first: id, when it changed, turns, model, name, how it began."""
    with _opened() as opened:
        sessions = opened.sessions(count)
    if as_json:
        print_lines(json.dumps([saved_object(each) for each in sessions], ensure_ascii=False))
    elif quiet:
        print_lines(*(each.id for each in sessions))
    else:
        plain = not sys.stdout.isatty()
        rows = [
            (
                each.id,
                each.changed if plain else age(each.changed, translated),
                str(each.turns),
                each.model,
                *_title(each),
            )
            for each in sessions
        ]
        _print_table(("ID", "CHANGED", "TURNS", "MODEL", "NAME", "CHAT"), rows)


@history.command("show")
def show(session: Session, as_json: Json = False) -> None:
    """What was said in a chat, as Markdown; thoughts are left out. `last` is the one that changed last."""
    with _opened() as opened:
        saved = opened.find(session)
        turns = opened.turns(saved.id)
    screen = Screen(sys.stdout, sys.stderr, os.environ)
    if as_json:
        print_lines(json.dumps(session_object(saved, turns), ensure_ascii=False))
    elif screen.renders:
        page = Page(screen.out, screen.size, colour=screen.out_colour)
        page.feed(exported(saved, turns, "md"))
        page.finish()
    else:
        print_lines(exported(saved, turns, "md").rstrip("\n"))


@history.command("search")
def search(words: Annotated[list[str], typer.Argument(metavar="WORDS", hidden=True)], as_json: Json = False) -> None:
    """Where a message has all the words, in any language and whatever their capitals: id, turn, who said it, the place.

    Blanks inside quotes count: "two words" is one thing to find.
    """
    with _opened() as opened:
        hits = opened.search(*words)
    if as_json:
        print_lines(json.dumps([_hit_object(each) for each in hits], ensure_ascii=False))
    else:
        rows = [(each.session.id, str(each.turn + 1), each.role, _one_line(each.excerpt)) for each in hits]
        _print_table(("ID", "TURN", "ROLE", "TEXT"), rows)


@history.command("export")
def export(
    session: Session,
    file: Annotated[Path | None, typer.Argument(metavar="FILE", hidden=True)] = None,
    format: Annotated[str | None, typer.Option(metavar="md|json|html", help="[FILE's ending, or md]")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
) -> None:
    """Write a chat to FILE, or to stdout (-): Markdown, JSON, or a page that needs nothing else."""
    if file == Path("-"):
        file = None
    if format is None:
        format = file.suffix.lstrip(".").lower() if file is not None and file.suffix else FORMATS[0]
    if format not in FORMATS:
        raise BadInput(f"unknown format {format}", hint=f"--format is one of: {', '.join(FORMATS)}")
    if file:
        check_writable(file)
    with _opened() as opened:
        saved = opened.find(session)
        text = exported(saved, opened.turns(saved.id), format)
    if file:
        if not force:
            _check_replaceable(file)
        write_whole(file, text)
    else:
        print_lines(text.rstrip("\n"))


@history.command("rm")
def remove(
    sessions: Annotated[list[str] | None, typer.Argument(metavar="ID|NAME", hidden=True)] = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="Every saved chat.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
) -> None:
    """Forget chats; what was said in them is overwritten on the disk."""
    if bool(sessions) == all_of_them:
        raise BadInput("name the chats to forget, or --all of them", hint="gptoss history list shows what there is")
    if all_of_them and not yes and not can_ask():
        raise BadInput("--all forgets every chat", hint="--yes says that you mean it")
    with _opened() as opened:
        meant, failures = _meant(opened, sessions)
        if yes or not can_ask() or not meant or _agreed(meant):
            for saved in meant:
                opened.remove(saved.id)
                forget_session(Places.of(os.environ).cache / FOLDER, saved.id)
                _say(translated("removed {name}", name=saved.id))
    if failures:
        raise failures[0]


@history.command("path")
def path() -> None:
    """The file with the saved chats; it need not exist yet."""
    print_lines(str(Places.of(os.environ).sessions))


@contextmanager
def _opened() -> Iterator[History]:
    with closing(History(Places.of(os.environ).sessions)) as opened:
        yield opened


def _meant(opened: History, words: list[str] | None) -> tuple[list[Saved], list[GptossError]]:
    """The sessions of `words`, or all, each once; and what was wrong with the other words."""
    if not words:
        return opened.sessions(), []
    found: dict[str, Saved] = {}
    failures: list[GptossError] = []
    for word in words:
        try:
            saved = opened.find(word)
            found[saved.id] = saved
        except GptossError as error:
            failures.append(error)
    return list(found.values()), failures


def _agreed(meant: Sequence[Saved]) -> bool:
    """Whether all of these may go: one question."""
    if len(meant) > 1:
        return typer.confirm(translated("Remove these {count} chats?", count=len(meant)), err=True)
    told = " ".join(part for part in (meant[0].id, *_title(meant[0])) if part)
    return typer.confirm(translated("Remove {name}?", name=terminal.safe(told)), err=True)


def _check_replaceable(file: Path) -> None:
    """Raise BadInput when `file` is there and nobody agrees that it goes."""
    try:
        check_new(file, hint="--force replaces it")
    except BadInput:
        question = translated("{name} is there already. Replace it?", name=terminal.safe(str(file)))
        if not (can_ask() and typer.confirm(question, err=True)):
            raise


def _title(saved: Saved) -> tuple[str, str]:
    return _one_line(saved.name or ""), _one_line(saved.title)


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _hit_object(hit: Hit) -> dict[str, object]:
    return {
        "session": hit.session.id,
        "name": hit.session.name,
        "turn": hit.turn + 1,
        "role": hit.role,
        "excerpt": hit.excerpt,
    }


def _print_table(titles: Iterable[str], rows: Sequence[tuple[str, ...]]) -> None:
    """Rows with a tab between their parts; on a terminal a table no wider than it is."""
    plain = not sys.stdout.isatty()
    lines = terminal.table([translated(each) for each in titles], rows, plain=plain)
    columns = Screen(sys.stdout, sys.stderr, os.environ).size()[0]
    print_lines(*(lines if plain else (clipped(terminal.safe(line), columns) for line in lines)))


def _say(text: str) -> None:
    print(terminal.safe(text), file=sys.stderr)
