"""The engines' processes that run: what each of them holds, and how it is ended."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from gptoss_cli.engine import wire
from gptoss_cli.engine.link import ANSWER_WITHIN_S, Gone, Link, Owner, Place, Silent, places
from gptoss_cli.errors import EngineError

END_WITHIN_S = 10.0  # then it is killed
LOOK_S = 0.02


@dataclass(frozen=True)
class Running:
    """A process. status None: it does not answer; owner: what is known of it all the same."""

    place: Place
    status: wire.Status | None
    owner: Owner | None = None

    @property
    def name(self) -> str:
        """What the last user called the model, or the first one where it does not answer."""
        known = self.status or self.owner
        return known.name if known else "?"

    @property
    def model(self) -> str | None:
        """The file of its weights."""
        known = self.status or self.owner
        return known.model if known else None


def running(folder: Path) -> Iterator[Running]:
    """The processes found in `folder`."""
    for place in places(folder):
        try:
            with closing(place.connect()) as link:
                link.receive(ANSWER_WITHIN_S)
                link.send(wire.AskStatus())
                match link.receive(ANSWER_WITHIN_S):
                    case wire.Status() as status:
                        yield Running(place, status)
        except (Silent, EngineError):
            yield Running(place, None, place.owner())
        except Gone:
            continue


def end(place: Place, how: wire.End) -> bool:
    """End the process there and wait until it has given everything back; False when it will not, being busy.

    One that does not answer is killed.
    """
    try:
        with closing(place.connect()) as link:
            link.receive(ANSWER_WITHIN_S)
            link.send(how)
            match link.receive(ANSWER_WITHIN_S):
                case wire.Ending(agreed=False):
                    return False
            wait_for_end(link)
    except (Silent, EngineError):
        pass
    except Gone:
        return True
    return kill(place)


def end_idle(folder: Path, but: Place | None = None) -> bool:
    """End the process in `folder` that nobody has used for longest, `but` that one; False when all others are busy."""
    others = [(each.status.idle_s, each.place.name) for each in running(folder) if each.status and each.place != but]
    return any(end(Place(folder, name), wire.End(only_idle=True)) for _, name in sorted(others, reverse=True))


def wait_for_end(link: Link) -> None:
    """Until the other side has ended. Raises Gone then, Silent when it takes longer than END_WITHIN_S."""
    until = time.monotonic() + END_WITHIN_S
    while (left := until - time.monotonic()) > 0:
        link.receive(left)
    raise Silent


def kill(place: Place) -> bool:
    """End the process by force, whatever it does, and wait until it is gone."""
    until = time.monotonic() + END_WITHIN_S
    while (owner := place.owner()) is not None and time.monotonic() < until:
        with suppress(ProcessLookupError):
            os.kill(owner.pid, signal.SIGKILL)
        time.sleep(LOOK_S)
    return True
