"""An engine's process: one loaded model, kept warm, for whoever connects; first come, first served.

Started by engine/start, found through engine/link. It ends by itself when nobody has used it for as long as the last
user wanted.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from gptoss_cli import weights
from gptoss_cli.engine import Enough, Step, Timings, Token, wire
from gptoss_cli.engine.link import Gone, Link, Owner, Place, Silent
from gptoss_cli.engine.private import read_key
from gptoss_cli.engine.running import end_idle
from gptoss_cli.engine.start import BUILD, detach, engine_here
from gptoss_cli.errors import EngineError, GptossError
from gptoss_cli.prompt import Prompt

AHEAD = 8  # tokens that may be sent before the other side has asked for more
LONGEST_WAIT_S = 60.0  # then it looks whether it can still be found: folders below /tmp are cleaned
LOOK_S = 0.3  # a request that waits longer is told so
LARGEST_LOG = 256 * 1024
BIND_WITHIN_S = 60.0  # the process before this one may have gigabytes to give back
BACKLOG = 64
FAILED_STAYS_S = 5.0  # for whoever has started it and has not asked yet


def main() -> None:
    """Serve as the first argument says, in JSON."""
    detach()
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # to stderr, the log
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # in all threads to come; one of them waits for it
    order: wire.Start = wire.from_json(wire.Start, sys.argv[1])
    place = Place(Path(order.folder), order.place)
    until = time.monotonic() + BIND_WITHIN_S
    while time.monotonic() < until:
        with place.locked() as lock:
            if lock is not None:
                os.ftruncate(1, 0)
                place.sign(lock, Owner(os.getpid(), order.name, order.load.model))
                _serve(order, place)
                return
        with suppress(Gone, Silent):
            place.connect().close()
            return  # another one serves
        time.sleep(0.02)


def _serve(order: wire.Start, place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        place.socket.unlink(missing_ok=True)
        listener.bind(str(place.socket))
        listener.listen(BACKLOG)
        try:
            Serving(order, place).run(listener)
        finally:
            place.socket.unlink(missing_ok=True)


@dataclass(eq=False)
class _Request:
    """One reply somebody asks for."""

    link: Link
    user: str
    asked: wire.Generate
    credits: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AHEAD))
    started: bool = False
    over: bool = False  # nobody wants more of it

    def end(self) -> None:
        self.over = True
        self.credits.release()

    def say(self, said: wire.Said) -> None:
        try:
            self.link.send(said)
        except Gone:
            self.end()


class Serving:
    """The engine and those who wait for it. `run` is for the main thread, the rest for those of the connections."""

    def __init__(self, order: wire.Start, place: Place) -> None:
        load = order.load
        self._place, self._load, self._key = place, load, read_key(place.folder)
        self._name, self._keep_alive = order.name, order.keep_alive
        self._changed = threading.Condition()  # guards what follows
        self._queue: deque[_Request] = deque()
        self._running: _Request | None = None
        self._last_user = ""  # whose prompt the engine holds
        self._used = time.monotonic()
        self._loaded = self._failed = self._ending = self._stopped = False
        self._size_bytes = 0
        with suppress(OSError, GptossError):  # the engine says it better
            self._size_bytes = sum(part.stat().st_size for part in weights.parts(Path(load.model)))
        self._engine = engine_here(load, self._relief)

    def run(self, listener: socket.socket) -> None:
        """Serve until nobody needs it any more."""
        for body in (lambda: self._accept(listener), self._wait_for_load, self._wait_for_signal):
            threading.Thread(target=body, daemon=True).start()
        while (request := self._next()) is not None:
            said = self._served(request)
            with self._changed:  # first: who has been told may ask how it is
                self._running, self._used = None, time.monotonic()
            request.say(said)
            _shorten_log()
        for request in self._queue:  # no others come now
            request.say(wire.Failure.of(self._stop_error()))
        self._engine.close()

    # the main thread

    def _next(self) -> _Request | None:
        """The next request, waited for; None when the process shall end."""
        with self._changed:
            while not self._queue:
                left_s = self._left_s()
                if self._ending or (left_s is not None and left_s <= 0) or not self._place.socket.exists():
                    self._ending = True
                    return None
                self._changed.wait(LONGEST_WAIT_S if left_s is None else min(left_s, LONGEST_WAIT_S))
            if self._stopped:
                return None
            self._running = request = self._queue.popleft()
            request.started, self._last_user = True, request.user
            return request

    def _left_s(self) -> float | None:
        if self._failed:
            return self._used + FAILED_STAYS_S - time.monotonic()
        if not self._loaded:
            return None
        return None if self._keep_alive < 0 else self._used + self._keep_alive - time.monotonic()

    def _served(self, request: _Request) -> wire.Said:
        """What ends it."""
        asked = request.asked
        self._engine.fix_context(asked.num_ctx)
        try:
            with closing(self._engine.generate(asked.prompt, asked.sampling, asked.guide)) as generation:
                timings = None if request.over else _streamed(request, generation)
            if timings and not self._stopped:
                return wire.Ended(timings, self._engine.info)
        except GptossError as error:
            self._end_if_useless()
            if not self._stopped:
                return wire.Failure.of(error)
        except Exception as error:  # a bug of ours: its traceback goes to the log, and nothing is built on what is left
            logging.exception("the reply failed")
            self.end(wire.End())
            return wire.Failure.of(EngineError(f"the engine's process failed: {type(error).__name__}: {error}"))
        return wire.Failure.of(self._stop_error())

    def _stop_error(self) -> EngineError:
        return EngineError(f"{self._name} was stopped", hint="the next reply loads it again")

    def _end_if_useless(self) -> None:
        """What could not be loaded never will be."""
        try:
            _ = self._engine.info
        except GptossError:
            self.end(wire.End())

    # threads of their own

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:  # too many descriptors, or the end
                time.sleep(LOOK_S)
                continue
            _Client(self, Link(accepted), self._key).start()

    def _wait_for_load(self) -> None:
        failed = False
        try:
            _ = self._engine.info
        except Exception:  # whoever asks for something gets it, and ends the process by that
            failed = True
        with self._changed:
            self._loaded, self._failed, self._used = True, failed, time.monotonic()
            self._changed.notify_all()

    def _wait_for_signal(self) -> None:
        signal.sigwait([signal.SIGTERM])
        self.end(wire.End(now=True))

    def _relief(self) -> bool:
        """Memory from another process; False when there is none to get. Called on the engine's thread."""
        return end_idle(self._place.folder, self._place)

    # for the connections

    def hello(self) -> wire.Hello:
        return wire.Hello(wire.PROTOCOL, BUILD, self._load, self._ending)

    def use(self, wanted: wire.Use) -> None:
        with self._changed:
            self._name, self._keep_alive, self._used = wanted.name, wanted.keep_alive, time.monotonic()
            self._changed.notify_all()

    def add(self, request: _Request) -> bool:
        """Put it behind the others; False when this process takes no more. Tells the other side."""
        with self._changed:
            if self._ending:
                return False
            request.say(wire.Taken())
            self._queue.append(request)
            self._changed.notify_all()
            return True

    def drop(self, request: _Request) -> None:
        """Nobody wants more of it."""
        with self._changed:
            request.end()
            with suppress(ValueError):
                self._queue.remove(request)
            if self._running is request:
                self._engine.interrupt()

    def prepare(self, prompt: Prompt, user: str) -> None:
        with self._changed:
            if not self._is_busy() and not self._ending:
                self._last_user = user
                self._engine.prepare(prompt)

    def keep(self, name: str, user: str) -> None:
        """Nothing of one user's is kept under a name of another."""
        with self._changed:
            if not self._is_busy() and self._last_user == user:
                self._engine.keep(name)

    def info(self) -> wire.Said:
        try:
            return self._engine.info
        except GptossError as error:
            self.end(wire.End())
            return wire.Failure.of(error)

    def status(self) -> wire.Status:
        with self._changed:
            n_ctx = 0
            if self._loaded:
                with suppress(GptossError):
                    n_ctx = self._engine.info.n_ctx
            return wire.Status(
                self._name,
                self._load.model,
                os.getpid(),
                self._size_bytes,
                _memory_bytes(),
                n_ctx,
                self._is_busy(),
                len(self._queue),
                0.0 if self._is_busy() else time.monotonic() - self._used,
                self._left_s(),
            )

    def end(self, how: wire.End) -> bool:
        """End after the replies that wait, or as `how` says; False when it will not."""
        with self._changed:
            if how.only_idle and self._is_busy():
                return False
            self._ending = True
            if how.now:
                self._stopped = True
                if self._running:
                    self._running.end()
                    self._engine.interrupt()
            self._changed.notify_all()
            return True

    def _is_busy(self) -> bool:
        return bool(self._running or self._queue or not self._loaded)


def _streamed(request: _Request, generation: Generator[Token | Step, None, Timings]) -> Timings | None:
    """Send what comes until it is over; its timings, or None when there was nothing to time yet."""
    try:
        while True:
            item = next(generation)
            request.say(item)
            if isinstance(item, Token):
                request.credits.acquire()
            if request.over:
                if isinstance(item, Step) and item.stage == "load":
                    return None  # what is being loaded is kept for the next one
                generation.throw(Enough())
    except StopIteration as ended:
        timings: Timings = ended.value
        return timings


class _Client(threading.Thread):
    """One connection, until the other side closes it."""

    def __init__(self, serving: Serving, link: Link, key: bytes) -> None:
        super().__init__(daemon=True)
        self._serving, self._link, self._key = serving, link, key
        self._request: _Request | None = None
        self._user = ""

    def run(self) -> None:
        try:
            self._link.authenticate(self._key, serves=True)
            self._link.send(self._serving.hello())
            while True:
                self._tell_if_waiting()
                self._answer(self._link.receive())
        except (Gone, Silent, EngineError):
            pass
        finally:
            if self._request:
                self._serving.drop(self._request)
            self._link.close()

    def _tell_if_waiting(self) -> None:
        while self._request and not self._request.started and not self._link.has_message(LOOK_S):
            if not self._request.started:
                self._link.send(Step("wait", 0, 0))

    def _answer(self, said: wire.Said) -> None:
        serving, link = self._serving, self._link
        match said:
            case wire.Generate():
                self._request = _Request(link, self._user, said)
                if not serving.add(self._request):
                    link.send(wire.Refused())
            case wire.More(count) if self._request:
                self._request.credits.release(count)
            case wire.Finish() if self._request:
                serving.drop(self._request)
            case wire.Use():
                self._user = said.user
                serving.use(said)
            case wire.Prepare(prompt):
                serving.prepare(prompt, self._user)
            case wire.Keep(name):
                serving.keep(name, self._user)
            case wire.AskInfo():
                link.send(serving.info())
            case wire.AskStatus():
                link.send(serving.status())
            case wire.End():
                link.send(wire.Ending(serving.end(said)))


def _memory_bytes() -> int:
    """What this process has in RAM."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # a Mac tells the most it ever was, in bytes
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _shorten_log() -> None:
    if os.fstat(1).st_size > LARGEST_LOG:
        os.ftruncate(1, 0)
