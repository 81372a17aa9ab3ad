"""What the context holds: how much of the next prompt it saves, and how it grows. Knows ids, not what they mean.

A prompt that begins like what is held is not read again. Layers with a sliding window forget what lies further back
than the window, so a step back takes the window along that was kept at that length: a checkpoint, made at a mark of a
prompt.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gptoss_cli.engine import plan
from gptoss_cli.engine.binding import Abort, Context, Model, Row
from gptoss_cli.engine.checkpoints import Checkpoints
from gptoss_cli.engine.shelf import Shelf, Whole, common, reach
from gptoss_cli.engine.states import States
from gptoss_cli.errors import NoAnswer
from gptoss_cli.prompt import Prompt

WORTHWHILE = 64  # ids: to keep or to fetch a state for less is not worth the copying
UBATCH = 512  # ids per decode of a prompt: the unit of progress and, on a GPU, of cancellation


@dataclass(frozen=True)
class Kept:
    """How many ids of a prompt need not be evaluated, and how many of those came back from a kept state."""

    length: int
    restored: int = 0


class Cache:
    """The one context of a model, and the ids whose state is in it, in order. Belongs to the engine's thread.

    num_ctx fixes its length; without it the context starts as short as the prompt allows and grows when it is full.
    check(n_ctx) is called before there is a context of that length, and raises DoesNotFit. states: what other processes
    have left.
    """

    def __init__(
        self,
        model: Model,
        *,
        abort: Abort,
        threads: int,
        num_ctx: int | None,
        check: Callable[[int], None],
        states: States | None = None,
    ) -> None:
        self.ids: list[int] = []
        self.checkpoints = Checkpoints()
        self._shelf = Shelf()
        self.states = states
        self._context: Context | None = None
        self._model, self._abort, self._threads, self.num_ctx, self._check = model, abort, threads, num_ctx, check

    @property
    def limit(self) -> int:
        """How many ids the context that exists now can hold; 0 when there is none."""
        return min(self._context.n_ctx, self.num_ctx or self._context.n_ctx) if self._context else 0

    def open(self, prompt: Prompt) -> Kept:
        """Make the context hold a beginning of `prompt`, as long as possible, and nothing else.

        At least one id of the prompt is left to be evaluated, for its logits. Raises NoAnswer for a prompt that is too
        long, DoesNotFit.
        """
        length, most = len(prompt.tokens), self.num_ctx or self._model.n_ctx_train
        if length > most:
            hint = "raise --num-ctx or shorten the prompt" if most < self._model.n_ctx_train else "shorten the prompt"
            raise NoAnswer(f"the prompt has {length} tokens and the context holds {most}", hint=hint)
        wanted = self.num_ctx or plan.context_length(length + prompt.room, most)
        if self._context is None:
            self._context = self._new(wanted)
        fetched = self._exchange(prompt.tokens, wanted)
        kept = self._keep(self._context, prompt.tokens)
        if fetched:
            kept = Kept(kept.length, kept.length)
        if self.limit < wanted:
            self._grow(wanted)  # now, while little has to be carried over
        return kept

    def _exchange(self, wanted: Sequence[int], n_ctx: int) -> bool:
        """Hold another state when it saves more of `wanted`; whether it does. What was held goes to the shelf.

        n_ctx: the length of a new context, if the state needs one.
        """
        present = self._reach(wanted)
        other = self._better(wanted, present + WORTHWHILE, max(self.limit, n_ctx))
        worth = self.checkpoints.best(len(self.ids))
        if worth >= WORTHWHILE and present < worth / 2:
            self._shelf.put(self.whole())
        if other is None:
            return False
        self._shelf.take(other)
        return self._hold(other, n_ctx)

    def _better(self, wanted: Sequence[int], least: int, most: int) -> Whole | None:
        """A state from the shelf, or from the disk, that saves `least` ids of `wanted` and has at most `most`."""
        if (other := self._shelf.best(wanted)) and other.reach(wanted) >= least and len(other.ids) <= most:
            return other
        if self.states is None or len(wanted) <= least:
            return None
        found = self.states.best(wanted)
        other = self.states.load(found) if found and found.reach >= least else None
        return other if other and len(other.ids) <= most else None

    def _reach(self, wanted: Sequence[int]) -> int:
        return reach(self.ids, self.checkpoints.lengths(), wanted)

    def _hold(self, whole: Whole, n_ctx: int) -> bool:
        self._forget()
        if len(whole.ids) > self.limit:
            self._grow(n_ctx)
        assert self._context is not None
        if not self._context.set_state(whole.state):
            return False
        self.ids[:] = whole.ids
        for length, window in whole.windows:
            self.checkpoints.put(length, window)
        return True

    def whole(self, windows: int = 8) -> Whole:
        """All that is held, with so many of the last checkpoints."""
        assert self._context is not None
        return Whole(tuple(self.ids), self._context.state(), tuple(self.checkpoints.last(windows)) if windows else ())

    def _keep(self, context: Context, wanted: Sequence[int]) -> Kept:
        """Forget what `wanted` does not begin with; how many of its ids are left in the context."""
        same = common(self.ids, wanted)
        length, restored = min(same, len(wanted) - 1), 0
        if not self._cut(context, length):
            # the step from a checkpoint to `length` may be one back, as there are no logits in it: its window still
            # has all that the id before it can see
            at = self.checkpoints.best(same)
            length = restored = min(at, length)
            if not (at and context.set_window(self.checkpoints.use(at)) and self._cut(context, length)):
                context.clear()
                length = restored = same = 0
        del self.ids[length:]
        self.checkpoints.cut(same)
        return Kept(length, restored)

    def _cut(self, context: Context, length: int) -> bool:
        """Forget what is held from `length` on; False when a sliding window no longer has what comes before it.

        llama.cpp itself would say yes, and then answer wrongly.
        """
        if context.first_position() > max(0, length - self._model.n_swa + 1) or context.length() < length:
            return False
        context.truncate(length)  # in any case: after a restored window only the other layers hold more
        return context.length() == length

    def portions(self, prompt: Prompt) -> Iterator[Sequence[int]]:
        """What of `prompt` is not held yet, as it should be decoded: UBATCH ids at most, and up to a mark."""
        start, ids = len(self.ids), prompt.tokens
        ends = [mark for mark in prompt.marks if start < mark < len(ids)] + [len(ids)]
        for end in ends:
            for place in range(start, end, UBATCH):
                yield ids[place : min(place + UBATCH, end)]
            start = end

    def mark(self, prompt: Prompt) -> None:
        """Make a checkpoint when what is held ends at a mark of `prompt` that has none."""
        length = len(self.ids)
        if self._context and length in prompt.marks and length not in self.checkpoints:
            self.checkpoints.put(length, self._context.window())

    def make_room(self, count: int) -> bool:
        """Grow the context until `count` more ids fit; False when it is full for good. Raises DoesNotFit."""
        needed = len(self.ids) + count
        if needed > self.limit:
            if self.num_ctx or needed > self._model.n_ctx_train:
                return False
            self._grow(plan.context_length(needed, self._model.n_ctx_train))
        return True

    def _grow(self, n_ctx: int) -> None:
        """Another context of n_ctx ids in place of the present one, whose state it takes over."""
        assert self._context is not None
        old, self._context = self._context, None
        ids, self.ids = self.ids, []  # all is lost when something fails on the way
        state = old.state() if ids else None  # checkpoints fit in every context of this model
        old.close()  # first, so that the two are never in memory together
        self._context = self._new(n_ctx)
        if state is not None and self._context.set_state(state):
            self.ids = ids
        else:
            self.checkpoints.clear()

    def _new(self, n_ctx: int) -> Context:
        self._check(n_ctx)
        return Context(self._model, n_ctx=n_ctx, n_ubatch=UBATCH, threads=self._threads, abort=self._abort)

    def decode(self, ids: Sequence[int]) -> bool:
        """Evaluate at most UBATCH ids, for which there is room; False when aborted. Raises EngineError."""
        assert self._context is not None
        try:
            if not self._context.decode(ids):
                self._after_abort(self._context)
                return False
        except Exception:
            self._context.clear()
            self._forget()
            raise
        self.ids.extend(ids)
        return True

    def _after_abort(self, context: Context) -> None:
        """Believe the context about how far it came."""
        if (held := context.length()) > len(self.ids):
            context.truncate(len(self.ids))
        del self.ids[held:]
        self.checkpoints.cut(len(self.ids))

    def _forget(self) -> None:
        self.ids.clear()
        self.checkpoints.clear()

    def logits(self) -> Row:
        """The logits after the last id; may be written to, valid until the next decode."""
        assert self._context is not None
        return self._context.logits()

    def close(self) -> None:
        if self._context:
            self._context.close()
        self._context = None
        self._shelf.clear()
        self._forget()
