"""`gptoss verify`, `prune`: whether weights are what they were, and what takes room for nothing."""

import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Annotated

import typer

from gptoss_cli import terminal
from gptoss_cli.cli.asking import can_ask
from gptoss_cli.cli.models import Json, Quiet, opened, print_lines
from gptoss_cli.errors import GptossError
from gptoss_cli.language import translated
from gptoss_cli.library import Library
from gptoss_cli.library.removal import Leftover
from gptoss_cli.library.verify import Verified, Verifying
from gptoss_cli.messages import Progress
from gptoss_cli.terminal import Screen
from gptoss_cli.terminal.progress import Bar
from gptoss_cli.units import size


def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", hidden=True)] = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Only the names of what is wrong or damaged.")] = False,
) -> None:
    """Read weights whole, of the named models or of all, and compare them with the hash they were fetched by.

    ok: the hash is right; unknown: a good GGUF of which nobody has told the hash; wrong and damaged: exit code 1.
    """
    library = opened()
    found = list(_shown(library.verify(names or []), Screen(sys.stdout, sys.stderr, os.environ, quiet)))
    if as_json:
        print_lines(json.dumps([_verified_object(each) for each in found], ensure_ascii=False))
    elif quiet:
        print_lines(*(each.name for each in found if each.problem))
    else:
        rows = [(each.name, each.status, size(each.size_bytes), each.sha256, str(each.path)) for each in found]
        titles = [translated(title) for title in ("NAME", "STATUS", "SIZE", "HASH", "FILE")]
        print_lines(*terminal.table(titles, rows, plain=not sys.stdout.isatty()))
    bad = [each for each in found if each.problem]
    if bad:
        raise GptossError(
            f"{len(bad)} of {len(found)} files are not what they should be: {bad[0].problem}",
            hint=_way_back(library, bad[0]),
        )


def _way_back(library: Library, bad: Verified) -> str:
    """What brings good weights, and costs no preset and no file that cannot be fetched."""
    if not library.can_be_pulled(bad.name):
        return "put a good copy in its place"
    try:
        removes = not library.is_named(bad.name) and library.removal(bad.name).size_bytes
    except GptossError:  # named models are made from it, or another tool has fetched it
        removes = 0
    remove = "gptoss rm " + bad.name if removes else f"rm {shlex.quote(str(bad.path.resolve()))}"
    return f"fetch it anew: {remove} && gptoss pull {bad.name}"


def _shown(events: Verifying, screen: Screen) -> Iterator[Verified]:
    """The results; on a terminal a line says how far it is."""
    bar = Bar(screen)
    bar.begin("")
    with closing(events):
        for event in events:
            match event:
                case Progress(stage, done, total):
                    bar.at(stage, done, total)
                case Verified():
                    bar.clear()
                    yield event
                    bar.begin("")


def _verified_object(each: Verified) -> dict[str, object]:
    return {
        "name": each.name,
        "status": each.status,
        "weights": str(each.path),
        "size_bytes": each.size_bytes,
        "sha256": each.sha256,
        "problem": each.problem,
    }


def prune(
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Delete what takes room for nothing: downloads that were not finished, weights that a newer version has replaced,
    converted copies without a name. Only what gptoss has put on the disk.
    """
    library = opened()
    leftovers = library.leftovers()
    if quiet:
        print_lines(*(each.what for each in leftovers))
    elif not as_json:
        rows = [(each.what, size(each.size_bytes), each.reason) for each in leftovers]
        if rows:
            titles = [translated(title) for title in ("WHAT", "SIZE", "WHY")]
            print_lines(*terminal.table(titles, rows, plain=not sys.stdout.isatty()))
    total = sum(each.size_bytes for each in leftovers)
    ask = leftovers and not dry_run and not yes and can_ask()
    if ask and not typer.confirm(translated("Delete this and free {size}?", size=size(total)), err=True):
        return
    gone = leftovers if dry_run else library.prune(leftovers)
    freed = sum(each.size_bytes for each in gone)
    if as_json:
        told = {"dry_run": dry_run, "freed_bytes": freed, "removed": [_leftover_object(each) for each in gone]}
        print_lines(json.dumps(told, ensure_ascii=False))
    elif quiet:
        return
    elif not leftovers:
        print(translated("nothing to delete"), file=sys.stderr)
    elif dry_run:
        print(translated("{size} would be freed", size=size(freed)), file=sys.stderr)
    else:
        print(translated("{size} freed", size=size(freed)), file=sys.stderr)


def _leftover_object(each: Leftover) -> dict[str, object]:
    return {
        "what": each.what,
        "reason": each.reason,
        "size_bytes": each.size_bytes,
        "paths": [str(path) for path in each.paths],
    }
