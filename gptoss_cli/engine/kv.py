"""What the context holds: how much of the next prompt it saves, and how it grows. Knows ids, not what they mean."""

from collections.abc import Callable, Sequence

from gptoss_cli.engine import plan
from gptoss_cli.engine.binding import Abort, Context, Model, Row
from gptoss_cli.errors import NoAnswer
from gptoss_cli.prompt import Prompt

UBATCH = 512  # ids per decode of a prompt: the unit of progress and, on a GPU, of cancellation


class Cache:
    """The one context of a model, and the ids whose state is in it, in order. Belongs to the engine's thread.

    num_ctx fixes its length; without it the context starts as short as the prompt allows and grows when it is full.
    check(n_ctx) is called before there is a context of that length, and raises DoesNotFit.
    """

    def __init__(
        self, model: Model, *, abort: Abort, threads: int, num_ctx: int | None, check: Callable[[int], None]
    ) -> None:
        self.ids: list[int] = []
        self._context: Context | None = None
        self._model, self._abort, self._threads, self.num_ctx, self._check = model, abort, threads, num_ctx, check

    @property
    def limit(self) -> int:
        """How many ids the context that exists now can hold; 0 when there is none."""
        return min(self._context.n_ctx, self.num_ctx or self._context.n_ctx) if self._context else 0

    def open(self, prompt: Prompt) -> int:
        """Make the context hold a beginning of `prompt`, as long as possible, and nothing else; the length of it.

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
        kept = self._keep(self._context, prompt.tokens)
        if self.limit < wanted:
            self._grow(wanted)  # now, while little has to be carried over
        return kept

    def _keep(self, context: Context, wanted: Sequence[int]) -> int:
        """Forget what `wanted` does not begin with; how many of its ids are left in the context."""
        length = min(_common(self.ids, wanted), len(wanted) - 1)
        # a sliding window has forgotten what lies further back than the window; llama.cpp would truncate all the same
        # and then answer wrongly
        if context.first_position() > max(0, length - self._model.n_swa + 1):
            context.clear()
            length = 0
        elif length < len(self.ids):
            context.truncate(length)
        del self.ids[length:]
        return length

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
        state = old.state() if ids else None
        old.close()  # first, so that the two are never in memory together
        self._context = self._new(n_ctx)
        if state is not None:
            self._context.set_state(state)
            self.ids = ids

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
            self.ids.clear()
            raise
        self.ids.extend(ids)
        return True

    def _after_abort(self, context: Context) -> None:
        """Believe the context about how far it came."""
        if (held := context.length()) > len(self.ids):
            context.truncate(len(self.ids))
        del self.ids[held:]

    def logits(self) -> Row:
        """The logits after the last id; may be written to, valid until the next decode."""
        assert self._context is not None
        return self._context.logits()

    def close(self) -> None:
        if self._context:
            self._context.close()
        self._context = None
        self.ids.clear()


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the common beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
