"""An engine in a process of its own, which stays warm: the side that uses it. Imports neither llama.cpp nor numpy."""

import os
import signal
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gptoss_cli.engine import EngineInfo, Enough, Step, Timings, Token, wire
from gptoss_cli.engine.link import ANSWER_WITHIN_S, Gone, Link, Place, Silent
from gptoss_cli.engine.private import private_folder
from gptoss_cli.engine.running import kill
from gptoss_cli.engine.start import BUILD, reaped, start
from gptoss_cli.errors import DoesNotFit, EngineError
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Guide, Prompt

STEP_INTERVAL_S = 0.1
LOOK_S = 0.005  # while a process starts
START_WITHIN_S = 60.0
MORE_EVERY = 4  # tokens; serving.AHEAD may be on the way
ATTEMPTS = 3
REAPED_WITHIN_S = 1.0  # connections of a process are closed a moment before it can be waited for
MOST_REPLACED = 5  # by one call
QUIET_S = 10.0  # a prompt may be read for longer without a word: then the process is asked whether it lives
MOST_SILENT = 3  # times in a row that it does not greet
PATIENCE_S = 2.0  # a process that ends may have gigabytes to give back; what takes longer is somebody's reply


class WorkerEngine:
    """The engine for `load`, which others may use at the same time: they wait for each other.

    Its process is started when there is none, one that is no longer right or does not answer is replaced, and one that
    has died is started again by the next call. folder: a private one, for all processes of this home. name: what the
    user calls the model. keep_alive: how many seconds the process stays when it is not used; negative for ever.
    load.num_ctx is the context's length for this one user. One call at a time.
    """

    def __init__(self, load: wire.Load, folder: Path, *, name: str, keep_alive: float) -> None:
        """Raises EngineError when `folder` cannot be used."""
        self._load, self._name = load, name
        self._use = wire.Use(name, keep_alive, os.urandom(8).hex())
        private_folder(folder)
        self._place = Place.of(folder, load)
        self._link: Link | None = None
        self._child: int | None = None  # started here and not known to have ended
        self._was_there = False  # the last process that was started, whoever did
        self._replaced = False  # one that did not answer was, and nobody has been told
        self._info: EngineInfo | None = None
        try:  # what this leads to goes on while the prompt is made
            self._link = self._open()
        except Gone:
            self._see_to_it(0.0)
        except Silent:
            self._end_silent()
            self._see_to_it(0.0)

    @property
    def info(self) -> EngineInfo:
        """What is loaded, as it was after the last generation; waits for the load. Raises what made it fail."""
        if self._info is None:
            for _ in range(ATTEMPTS):
                try:
                    self._info = self._asked_info()
                    break
                except Gone:
                    self._drop()
            else:
                raise self._death()
        return self._info

    def _asked_info(self) -> EngineInfo:
        link = self._ready()
        link.send(wire.AskInfo())
        match self._awaited(link):
            case EngineInfo() as info:
                return info
            case wire.Failure() as failure:
                raise failure.error
            case other:
                raise _not_expected(other)

    def _ready(self) -> Link:
        reached = self._reached()
        while True:
            try:
                next(reached)
            except StopIteration as end:
                link: Link = end.value
                return link

    def generate(
        self, prompt: Prompt, sampling: Sampling, guide: Guide | None = None
    ) -> Generator[Token | Step, None, Timings]:
        """As Engine has it; a step `wait` says that others are served first, `replaced` that a process did not answer.

        Raises what the engine raises, and EngineError when the process dies.
        """
        request = wire.Generate(prompt, sampling, guide, self._load.num_ctx)
        ended = False
        try:
            link = yield from self._taken(request)
            if self._replaced:
                self._replaced = False
                yield Step("replaced", 0, 0)
            try:
                timings = yield from self._results(link)
            except DoesNotFit:
                if not self._is_planned_for_less():
                    raise
                link.send(wire.End())  # loaded anew, it leaves room for so long a context on the GPU
                yield from _until_gone(link)
                self._drop()
                timings = yield from self._results((yield from self._taken(request)))
            ended = True
            return timings
        except Gone:
            raise self._death() from None
        finally:
            if not ended:
                self._drop()  # which stops the reply, however much of a message has been read

    def _is_planned_for_less(self) -> bool:
        """Whether the process has placed the model for a shorter context than is asked for."""
        return bool(self._load.num_ctx) and (self._hello.load.num_ctx or 0) < (self._load.num_ctx or 0)

    def _taken(self, request: wire.Generate) -> Generator[Step, None, Link]:
        """A connection on which the request is being served, or waits for others."""
        for _ in range(ATTEMPTS):
            link = yield from self._reached()
            try:
                link.send(request)
                match self._awaited(link):
                    case wire.Taken():
                        return link
                    case wire.Refused():
                        yield from _until_gone(link)
                    case other:
                        raise _not_expected(other)
            except Gone:  # it had just ended, as it does when nobody needs it
                self._drop()
        raise self._death()

    def _results(self, link: Link) -> Generator[Token | Step, None, Timings]:
        count = 0
        while True:
            match self._awaited(link):
                case Token() as token:
                    try:
                        yield token
                    except Enough:
                        link.send(wire.Finish())
                        return self._timings(link)
                    count += 1
                    if count % MORE_EVERY == 0:
                        with suppress(Gone):  # why, may still be on the way here
                            link.send(wire.More(MORE_EVERY))
                case Step() as step:
                    yield step
                case wire.Ended(timings, info):
                    self._info = info
                    return timings
                case wire.Failure() as failure:
                    raise failure.error
                case other:
                    raise _not_expected(other)

    def _timings(self, link: Link) -> Timings:
        """Of a reply that was ended; what was on the way is not wanted any more."""
        while True:
            match self._awaited(link):
                case wire.Ended(timings, info):
                    self._info = info
                    return timings
                case wire.Failure() as failure:
                    raise failure.error

    def _awaited(self, link: Link) -> wire.Said:
        """The next message, however long the engine takes. Raises Gone, and EngineError for a process that hangs."""
        silent = 0
        while not link.has_message(QUIET_S):
            silent = 0 if self._place.greets() else silent + 1
            if silent == MOST_SILENT:
                kill(self._place)
                self._drop()
                raise EngineError(
                    "the engine's process did not answer any more and was ended",
                    hint="try again: the next reply starts a new one (--keep-alive 0 does without)",
                )
        return link.receive()

    def prepare(self, prompt: Prompt) -> None:
        """Have it read in the background; nothing when there is no process any more."""
        self._say(wire.Prepare(prompt))

    def keep(self, name: str) -> None:
        """Have it kept on disk; nothing when there is no process any more, or somebody else's reply was the last."""
        self._say(wire.Keep(name))

    def _say(self, said: wire.Said) -> None:
        try:
            self._link = self._link or self._open()
            if self._is_right():
                self._link.send(said)
        except (Gone, Silent):
            self._drop()

    def close(self) -> None:
        """Leave the process to others, and to its time."""
        self._drop()
        if self._child is not None:
            reaped(self._child)

    # the way to the process

    def _reached(self) -> Generator[Step, None, Link]:
        """A connection to a process that is right, which is started if need be."""
        begun = told = time.monotonic()
        replaced = 0
        while True:
            try:
                self._link = link = self._link or self._open()
            except Gone:
                self._see_to_it(time.monotonic() - begun)
                time.sleep(LOOK_S)
                if time.monotonic() - told >= STEP_INTERVAL_S:
                    told = time.monotonic()
                    yield Step("load", 0, 0)
            except Silent:
                self._end_silent()
            else:
                if self._is_right():
                    return link
                if not self._hello.ending:
                    with suppress(Gone):
                        link.send(wire.End())
                yield from _until_gone(link)
                self._drop()
                begun, replaced = time.monotonic(), replaced + 1
                if replaced > MOST_REPLACED:
                    raise EngineError(
                        f"another gptoss starts {self._name} in another way again and again",
                        hint="--keep-alive 0 does without the other's process",
                    )

    def _open(self) -> Link:
        """Raises Gone, Silent."""
        link = self._place.connect()
        try:
            match link.receive(ANSWER_WITHIN_S):
                case wire.Hello() as hello:
                    self._hello, self._was_there = hello, True
                case _:
                    raise Silent
            link.send(self._use)
        except EngineError as error:  # another protocol
            link.close()
            raise Silent from error
        except BaseException:
            link.close()
            raise
        return link

    def _end_silent(self) -> None:
        """Nobody is told of a process that has ended by itself in the meantime."""
        self._replaced |= self._place.owner() is not None
        kill(self._place)

    def _is_right(self) -> bool:
        hello = self._hello
        own = (wire.PROTOCOL, BUILD, False, replace(self._load, num_ctx=None, repack=None))
        return (hello.protocol, hello.build, hello.ending, replace(hello.load, num_ctx=None, repack=None)) == own

    def _see_to_it(self, waited_s: float) -> None:
        """Nobody listens, so far: start a process, unless one is about to listen or to end."""
        if waited_s > START_WITHIN_S:
            kill(self._place)
            raise self._death()
        if self._child is not None:
            code = reaped(self._child)
            if code is None:
                return
            self._child = None
            if code and not self._was_there:
                raise self._death(code)
        if self._place.owner() is None:
            self._start()

    def _start(self) -> None:
        order = wire.Start(str(self._place.folder), self._place.name, self._load, self._name, self._use.keep_alive)
        self._was_there = False
        try:
            self._child = start(order)
        except OSError as error:
            raise EngineError(f"the engine's process cannot be started: {error.strerror}") from error

    def _drop(self) -> None:
        if self._link:
            self._link.close()
            self._link = None

    def _death(self, code: int | None = None) -> EngineError:
        """What is told of a process that has ended where it should not have; the next call starts another."""
        self._drop()
        if self._child is not None and code is None:
            until = time.monotonic() + REAPED_WITHIN_S
            while (code := reaped(self._child)) is None and time.monotonic() < until:
                time.sleep(LOOK_S)
            self._child = None
        how = "" if code is None else f" with code {code}" if code >= 0 else f": {signal.Signals(-code).name}"
        said = self._place.last_lines()
        message = f"the engine's process has ended{how}" + (f"; its last lines: {said}" if said else "")
        return EngineError(message, hint="try again: the next reply starts a new one (--keep-alive 0 does without)")


def _until_gone(link: Link) -> Generator[Step, None, None]:
    """Until the other side has ended, which it does after those that wait there."""
    begun = time.monotonic()
    try:
        while True:
            if link.has_message(STEP_INTERVAL_S):
                link.receive()
            else:
                yield Step("load" if time.monotonic() - begun < PATIENCE_S else "wait", 0, 0)
    except Gone:
        pass


def _not_expected(said: object) -> EngineError:
    return EngineError(f"the engine's process said {type(said).__name__}, which was not expected")
