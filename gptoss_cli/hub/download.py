"""The bytes of one file, by several connections at once, hashed while they come, in a part that survives anything.

Each connection works on a run of chunks and gives half of what is left to one that has nothing to do. A thread of its
own hashes the file from its beginning, behind the connections, out of the page cache; what an earlier run left is
checked on the way.
"""

import hashlib
import threading
import time
import zlib
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from gptoss_cli.errors import GptossError, NetworkError
from gptoss_cli.hub.api import Address, HubFile
from gptoss_cli.hub.fetch import Again, Body, Fetcher
from gptoss_cli.hub.part import Part
from gptoss_cli.messages import Notice, Progress

REPORT_S = 0.1
JOIN_S = 2.0
LONGEST_WAIT_S = 30.0
SLOW_S = 3.0
RUN_BYTES = 64 * 2**20  # of one request; the hash lags behind by at most one for each other connection
FLUSH_BYTES = 16 * 2**20
MISSING, COMING, WHOLE = range(3)


@dataclass(frozen=True)
class Tuning:
    """How bytes are fetched. chunk_bytes: what may have to be fetched twice, per connection, after kill -9.

    timeout_s: of silence; retries: in a row without a byte, with waits of wait_s, twice that, … up to half a minute.
    """

    chunk_bytes: int = 4 * 2**20
    connections: int = 6
    timeout_s: float = 10.0
    retries: int = 8
    wait_s: float = 0.5


def download(file: HubFile, address: Address, part: Part, tuning: Tuning) -> Generator[Progress | Notice, None, None]:
    """Fetch what `part` lacks and check the hash of it all; the part is left for the caller to place.

    Yields Progress of the stages `download` and `verify`, in bytes, at most ten times a second. Closing it early, or
    an error, keeps the part; a wrong hash removes it. Raises NetworkError, fetch.Changed, GptossError for the
    hash, and OSError of the disk.
    """
    work = _Download(file, address, part, tuning)
    try:
        yield from work.events()
    finally:
        work.stop()


@dataclass(eq=False)
class _Run:
    """Chunks from `next` to before `end`, worked on by one connection; another may lower `end`."""

    next: int
    end: int
    first: int
    began: float = field(default_factory=time.monotonic)
    fetched_bytes: int = 0  # of the chunk `next`
    crc: int = 0


@dataclass
class _State:
    """What is known of the chunks; under `changed`."""

    chunks: bytearray
    done_bytes: int = 0
    hashed_bytes: int = 0
    digest: str | None = None
    single: _Run | None = None  # the one that gets the whole file, from a server without ranges
    stopped: bool = False
    failure: BaseException | None = None
    notices: list[str] = field(default_factory=list)
    runs: list[_Run] = field(default_factory=list)


class _Download:
    def __init__(self, file: HubFile, address: Address, part: Part, tuning: Tuning) -> None:
        self._file = file
        self._part = part
        self._tuning = tuning
        self._chunk = part.chunk_bytes
        self._count = -(-file.size_bytes // self._chunk)
        self._fetcher = Fetcher(file, address, tuning.timeout_s)
        self._changed = threading.Condition()
        self._state = _State(bytearray(self._count))
        self._known = {index: crc for index, crc in part.known.items() if index < self._count}  # not checked yet
        self._begun = dict(part.begun)
        for index in self._known:
            self._state.chunks[index] = WHOLE
            self._state.done_bytes += self._length(index)
        tasks = [self._work] * min(tuning.connections, self._count) + [self._hash, self._flush]
        self._threads = [threading.Thread(target=self._guarded, args=(task,), daemon=True) for task in tasks]

    # the consumer's thread

    def events(self) -> Generator[Progress | Notice, None, None]:
        for thread in self._threads:
            thread.start()
        told: Progress | None = None
        while True:
            with self._changed:
                self._changed.wait_for(self._is_over, REPORT_S)
                over, notices = self._is_over(), self._state.notices
                self._state.notices = []
            yield from map(Notice, notices)
            if told != (told := self._progress()):
                yield told
            if over:
                break
        if self._state.failure is not None:
            raise self._state.failure
        if self._state.digest != self._file.etag:
            self.stop()
            self._part.remove()
            raise GptossError(
                f"{self._file.path} is removed: its hash is {self._state.digest}, and the Hub says {self._file.etag}",
                hint="try again; if it happens again, something between the Hub and this machine changes files",
            )

    def stop(self) -> None:
        """End the threads. One that waits for a connection is left alone: it does nothing more when it has it."""
        with self._changed:
            self._state.stopped = True
            self._changed.notify_all()
        self._fetcher.close()
        until = time.monotonic() + JOIN_S
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))

    def _is_over(self) -> bool:
        return self._state.failure is not None or self._state.digest is not None

    def _progress(self) -> Progress:
        with self._changed:
            state, size = self._state, self._file.size_bytes
            if state.done_bytes >= size:
                return Progress("verify", state.hashed_bytes, size)
            return Progress("download", state.done_bytes + sum(run.fetched_bytes for run in state.runs), size)

    # every other thread

    def _guarded(self, task: Callable[[], None]) -> None:
        try:
            task()
        except BaseException as error:  # it is raised again where the events are read
            with self._changed:
                if self._state.failure is None and not self._state.stopped:
                    self._state.failure = error
                self._changed.notify_all()

    def _work(self) -> None:
        while (run := self._take()) is not None:
            try:
                self._resume(run)
                self._fetch(run)
            finally:
                self._give_back(run)

    def _take(self) -> _Run | None:
        """The next run to fetch; waits while there may be one later. None at the end."""
        with self._changed:
            while True:
                state = self._state
                if state.stopped or state.failure is not None or state.digest is not None:
                    return None
                if state.single is not None and state.single in state.runs:
                    return None
                if (run := self._next_missing() or self._half_of_a_slow_one()) is not None:
                    state.runs.append(run)
                    return run
                self._changed.wait(SLOW_S / 3)

    def _next_missing(self) -> _Run | None:
        """Long runs at first; short ones towards the end, so that the connections end together."""
        chunks = self._state.chunks
        start = chunks.find(MISSING)
        if start < 0:
            return None
        share = chunks.count(MISSING) // (2 * self._tuning.connections)
        most = max(1, min(share, RUN_BYTES // self._chunk))
        end = start + 1
        while end < min(self._count, start + most) and chunks[end] == MISSING and end not in self._begun:
            end += 1
        chunks[start:end] = bytes([COMING]) * (end - start)
        return _Run(start, end, first=start)

    def _half_of_a_slow_one(self) -> _Run | None:
        """Of the run that takes longest; not of one that ends soon: what is on its way to it would be lost."""
        slowest = max(self._state.runs, key=self._left_s, default=None)
        if slowest is None or slowest.end - slowest.next < 2 or self._left_s(slowest) < SLOW_S:
            return None
        middle = (slowest.next + slowest.end + 1) // 2
        run = _Run(middle, slowest.end, first=middle)
        slowest.end = middle
        return run

    def _left_s(self, run: _Run) -> float:
        """How long it will take, by what it took so far; 0 as long as that says little."""
        spent = time.monotonic() - run.began
        done = (run.next - run.first) * self._chunk + run.fetched_bytes
        left = (run.end - run.next) * self._chunk - run.fetched_bytes
        return spent * left / max(1, done) if spent > SLOW_S / 3 else 0.0

    def _give_back(self, run: _Run) -> None:
        with self._changed:
            self._state.runs.remove(run)
            if run.fetched_bytes:
                self._begun[run.next] = run.crc, run.fetched_bytes
                self._part.keep(run.next, run.crc, run.fetched_bytes)
            for index in range(run.next, run.end):
                if self._state.chunks[index] == COMING:
                    self._state.chunks[index] = MISSING
            self._changed.notify_all()

    def _resume(self, run: _Run) -> None:
        """Go on within the first chunk, if some of it is on disk and as it was written."""
        crc, length = self._begun.pop(run.next, (0, 0))
        if 0 < length < self._length(run.next):
            data = self._part.read(length, run.next * self._chunk)
            if len(data) == length and zlib.crc32(data) == crc:
                run.crc, run.fetched_bytes = crc, length

    def _fetch(self, run: _Run) -> None:
        """All of `run`, however often the connection breaks."""
        failures, wait_s = 0, self._tuning.wait_s
        while not self._ends(run):
            before = run.next, run.fetched_bytes, self._state.done_bytes
            try:
                start = run.next * self._chunk + run.fetched_bytes
                with self._fetcher.open(start, min(run.end * self._chunk, self._file.size_bytes)) as body:
                    if not body.whole:
                        self._store(body, run)
                    elif self._claim_whole(run):
                        self._store_whole(body, run)
                    else:
                        return
                trouble = Again("the server stops in the middle")
            except Again as error:
                trouble = error
            if self._ends(run):
                return
            if (run.next, run.fetched_bytes, self._state.done_bytes) != before:
                failures, wait_s = 0, self._tuning.wait_s
            failures += 1
            if failures > self._tuning.retries:
                raise NetworkError(
                    f"{self._file.path}: {trouble}, {failures} times in a row; what was fetched is kept",
                    hint="pull again to go on",
                )
            self._pause(wait_s if trouble.wait_s is None else trouble.wait_s, trouble)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    def _ends(self, run: _Run) -> bool:
        """Whether there is nothing more to do for `run`."""
        state = self._state
        return run.next >= run.end or state.stopped or state.failure is not None

    def _pause(self, wait_s: float, trouble: Again) -> None:
        with self._changed:
            if wait_s >= 5.0 and trouble.wait_s is not None:
                self._state.notices.append(f"the server asks to wait {wait_s:.0f} s ({trouble})")
            self._changed.wait_for(lambda: self._state.stopped or self._state.failure is not None, wait_s)

    def _store(self, body: Body, run: _Run) -> None:
        """Write what comes, a chunk after the other, until the run is at its end."""
        for data in body.pieces:
            view = memoryview(data)
            while view:
                if self._ends(run):
                    return
                room = self._length(run.next) - run.fetched_bytes
                piece, view = view[:room], view[room:]
                self._part.write(piece, run.next * self._chunk + run.fetched_bytes)
                run.crc = zlib.crc32(piece, run.crc)
                if len(piece) == room:
                    self._complete(run)
                else:
                    run.fetched_bytes += len(piece)

    def _complete(self, run: _Run) -> None:
        with self._changed:
            index, crc = run.next, run.crc
            run.next, run.fetched_bytes, run.crc = index + 1, 0, 0
            self._mark(index, crc)

    def _mark(self, index: int, crc: int) -> None:
        """The chunk is written, for good."""
        with self._changed:
            self._part.complete(index, crc)
            self._known.pop(index, None)
            if self._state.chunks[index] != WHOLE:
                self._state.done_bytes += self._length(index)
            self._state.chunks[index] = WHOLE
            self._changed.notify_all()

    # a server without ranges sends the whole file: what is there already is passed over

    def _claim_whole(self, run: _Run) -> bool:
        """Whether this connection is the one that takes the whole file; the others have nothing to do then."""
        with self._changed:
            state = self._state
            if state.single is not None and state.single is not run and state.single in state.runs:
                return False
            state.single = run
            self._changed.notify_all()
            return True

    def _store_whole(self, body: Body, run: _Run) -> None:
        index = crc = held = 0
        run.fetched_bytes = run.crc = 0
        skipping = self._state.chunks[0] == WHOLE
        for data in body.pieces:
            view = memoryview(data)
            while view and index < self._count:
                if self._state.stopped or self._state.failure is not None:
                    return
                room = self._length(index) - held
                piece, view = view[:room], view[room:]
                if not skipping:
                    self._part.write(piece, index * self._chunk + held)
                    crc = zlib.crc32(piece, crc)
                held += len(piece)
                if len(piece) == room:
                    if not skipping:
                        self._mark(index, crc)
                    index, crc, held = index + 1, 0, 0
                    skipping = index < self._count and self._state.chunks[index] == WHOLE
        with self._changed:
            while run.next < run.end and self._state.chunks[run.next] == WHOLE:
                run.next += 1

    def _hash(self) -> None:
        """Hash the file in its order, as far as it is there; what is not as it was written is fetched again."""
        digest = _hasher(self._file)
        index = 0
        while index < self._count:
            with self._changed:
                while not self._state.stopped and self._state.chunks[index] != WHOLE:
                    self._changed.wait()
                if self._state.stopped:
                    return
            data = self._part.read(self._length(index), index * self._chunk)
            if index in self._known and zlib.crc32(data) != self._known[index]:
                self._reject(index)
                continue
            digest.update(data)
            index += 1
            self._state.hashed_bytes += len(data)
        with self._changed:
            self._state.digest = digest.hexdigest()
            self._changed.notify_all()

    def _flush(self) -> None:
        """Keep the disk busy meanwhile: the end need not wait for it, and a power loss takes less."""
        flushed_bytes = 0
        while True:
            with self._changed:
                while not self._is_over() and self._state.done_bytes < flushed_bytes + FLUSH_BYTES:
                    if self._state.stopped:
                        return
                    self._changed.wait()
                if self._is_over() or self._state.stopped:
                    return
                flushed_bytes = self._state.done_bytes
            self._part.flush()

    def _reject(self, index: int) -> None:
        with self._changed:
            self._known.pop(index)
            self._state.chunks[index] = MISSING
            self._state.done_bytes -= self._length(index)
            self._changed.notify_all()

    def _length(self, index: int) -> int:
        return min(self._chunk, self._file.size_bytes - index * self._chunk)


def _hasher(file: HubFile) -> "hashlib._Hash":
    """Of the bytes themselves; of a file that git keeps, as git does it (`git hash-object`)."""
    if file.sha256 is not None:
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % file.size_bytes, usedforsecurity=False)
