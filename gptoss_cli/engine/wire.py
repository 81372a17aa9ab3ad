"""What an engine's process and those who use it say to each other, as bytes. Opens no connection.

A message is `J`, the length of a JSON object, the object, and packed ids; or `T` and one token.
Plain data: whatever arrives, decoding it runs nothing.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any

from gptoss_cli import errors
from gptoss_cli.engine import EngineInfo, Step, Timings, Token
from gptoss_cli.errors import EngineError, GptossError
from gptoss_cli.options import Sampling
from gptoss_cli.prompt import Budget, Guide, Prompt, State

PROTOCOL = 1  # a process that speaks another one is replaced

OBJECT, TOKEN = b"J", b"T"
_LENGTH = struct.Struct("<I")
_TOKEN = struct.Struct("<id")  # id, logprob: NaN for none; then as many of the same as there are alternatives

ERRORS: dict[str, type[GptossError]] = {
    each.__name__: each
    for each in (
        errors.GptossError,
        errors.BadInput,
        errors.ModelNotFound,
        errors.DoesNotFit,
        errors.NetworkError,
        errors.NoAnswer,
        errors.EngineError,
    )
}


@dataclass(frozen=True)
class Load:
    """How a model is loaded, as LlamaEngine has it.

    num_ctx: what it is planned for; each request has its own. repack: a wish; what is loaded already is used as it is.
    """

    model: str
    adapters: tuple[str, ...] = ()
    num_ctx: int | None = None
    gpu_layers: int | None = None
    cpu_moe: int | None = None
    force: bool = False
    threads: int | None = None
    repack: bool | None = False
    states: str | None = None


@dataclass(frozen=True)
class Start:
    """What a process is started with. folder, place: as engine.link.Place has them; the rest as Use has it."""

    folder: str
    place: str
    load: Load
    name: str
    keep_alive: float


@dataclass(frozen=True)
class Hello:
    """The first message on a connection. build: of gptoss and llama.cpp. ending: it takes no requests any more."""

    protocol: int
    build: str
    load: Load
    ending: bool = False


@dataclass(frozen=True)
class Use:
    """Somebody wants to use the model, which they call `name`. keep_alive: seconds, negative for ever.

    user: the same on all connections of one user.
    """

    name: str
    keep_alive: float
    user: str


@dataclass(frozen=True)
class Generate:
    """One reply is asked for; answered by Taken, steps and tokens, and Ended, or by Refused or Failure."""

    prompt: Prompt
    sampling: Sampling
    guide: Guide | None
    num_ctx: int | None


@dataclass(frozen=True)
class Prepare:
    """Read this in the background; not answered."""

    prompt: Prompt


@dataclass(frozen=True)
class Keep:
    """Write what was read last to the disk, under this name; not answered."""

    name: str


@dataclass(frozen=True)
class Taken:
    """The request is among those that will be served."""


@dataclass(frozen=True)
class Refused:
    """The process ends; another one will serve the request."""


@dataclass(frozen=True)
class More:
    """So many further tokens may be sent."""

    count: int


@dataclass(frozen=True)
class Finish:
    """Enough: end the reply now and tell the timings."""


@dataclass(frozen=True)
class Ended:
    """The reply is over."""

    timings: Timings
    info: EngineInfo


@dataclass(frozen=True)
class Failure:
    """What went wrong, by the name of its class among ERRORS."""

    error_class: str
    message: str
    hint: str | None = None

    @classmethod
    def of(cls, error: GptossError) -> "Failure":
        name = type(error).__name__
        return cls(name if name in ERRORS else EngineError.__name__, str(error), error.hint)

    @property
    def error(self) -> GptossError:
        return ERRORS.get(self.error_class, EngineError)(self.message, hint=self.hint)


@dataclass(frozen=True)
class AskInfo:
    """Answered by EngineInfo once the model is loaded, or by Failure."""


@dataclass(frozen=True)
class AskStatus:
    """Answered by Status at once."""


@dataclass(frozen=True)
class Status:
    """How a process is. size_bytes: of the weights. memory_bytes: RAM, pages of the file included. n_ctx 0: none yet.

    busy: it loads or replies. waiting: requests behind that one. left_s: until it ends by itself, None for never.
    """

    name: str
    model: str
    pid: int
    size_bytes: int
    memory_bytes: int
    n_ctx: int
    busy: bool
    waiting: int
    idle_s: float
    left_s: float | None


@dataclass(frozen=True)
class End:
    """End yourself; answered by Ending. now: also in the middle of a reply. only_idle: not at all when there is one."""

    now: bool = False
    only_idle: bool = False


@dataclass(frozen=True)
class Ending:
    """Whether the process will end, as asked."""

    agreed: bool


Object = (
    Hello
    | Use
    | Generate
    | Prepare
    | Keep
    | Taken
    | Refused
    | More
    | Finish
    | Ended
    | Failure
    | AskInfo
    | AskStatus
    | Status
    | End
    | Ending
    | Step
    | EngineInfo
)
Said = Object | Token

_KINDS: dict[str, Any] = {
    each.__name__: each
    for each in (
        *(
            Hello,
            Use,
            Generate,
            Prepare,
            Keep,
            Taken,
            Refused,
            More,
            Finish,
            Ended,
            Failure,
            AskInfo,
            AskStatus,
            Status,
        ),
        *(End, Ending, Step, EngineInfo),
    )
}
# fields that are objects themselves
_PARTS: dict[str, Any] = {"load": Load, "sampling": Sampling, "timings": Timings, "info": EngineInfo}


def encode(said: Said) -> bytes:
    """`said` as one message."""
    match said:
        case Token(id, logprob, top):
            rest = b"".join(_TOKEN.pack(*each) for each in top)
            return TOKEN + _TOKEN.pack(id, math.nan if logprob is None else logprob) + rest
        case Step():
            return _object("Step", said._asdict())
        case Generate(prompt, sampling, guide, num_ctx):
            values = {"prompt": _of_prompt(prompt), "sampling": asdict(sampling), "num_ctx": num_ctx}
            values["guide"] = None if guide is None else _of_guide(guide)
            return _object("Generate", values, prompt.tokens)
        case Prepare(prompt):
            return _object("Prepare", {"prompt": _of_prompt(prompt)}, prompt.tokens)
    return _object(type(said).__name__, asdict(said))


def decode(data: bytes) -> Said:
    """The message. Raises EngineError for what is none."""
    try:
        return _token(data[1:]) if data[:1] == TOKEN else _decoded(data)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, struct.error) as error:
        raise EngineError(f"the engine's process said what is not understood: {data[:60]!r}") from error


def as_json(value: Any) -> str:
    """A dataclass of this module as JSON, for a process's arguments."""
    return json.dumps(asdict(value))


def from_json(kind: Any, text: str) -> Any:
    """What as_json has written of a `kind`."""
    return _made(kind, json.loads(text))


def _object(kind: str, values: Mapping[str, Any], ids: tuple[int, ...] = ()) -> bytes:
    head = json.dumps({"kind": kind, **values}, separators=(",", ":")).encode()
    return OBJECT + _LENGTH.pack(len(head)) + head + struct.pack(f"<{len(ids)}i", *ids)


def _decoded(data: bytes) -> Said:
    if data[:1] != OBJECT:
        raise ValueError("no message")
    (length,) = _LENGTH.unpack_from(data, 1)
    start = 1 + _LENGTH.size + length
    told = json.loads(data[1 + _LENGTH.size : start])
    ids = struct.unpack(f"<{(len(data) - start) // 4}i", data[start:])
    kind = _KINDS[told.pop("kind")]
    if "prompt" in told:
        told["prompt"] = _prompt(told["prompt"], ids)
    if told.get("guide") is not None:
        told["guide"] = _guide(told["guide"])
    said: Said = _made(kind, told)
    return said


def _made(kind: Any, values: Mapping[str, Any]) -> Any:
    """A value of `kind`; what a newer one has beside the known fields is left out."""
    known = {each.name for each in fields(kind)} if is_dataclass(kind) else set(kind._fields)
    return kind(**{name: _part(name, value) for name, value in values.items() if name in known})


def _part(name: str, value: Any) -> Any:
    if isinstance(value, Mapping) and name in _PARTS:
        return _made(_PARTS[name], value)
    return _tupled(value)


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


def _token(data: bytes) -> Token:
    (id, logprob), *top = _TOKEN.iter_unpack(data)
    return Token(id, None if math.isnan(logprob) else logprob, tuple(top))


def _of_prompt(prompt: Prompt) -> dict[str, Any]:
    """All but the ids."""
    others = {each.name: getattr(prompt, each.name) for each in fields(prompt) if each.name != "tokens"}
    return others | {"stop": sorted(prompt.stop)}


def _prompt(told: Mapping[str, Any], ids: tuple[int, ...]) -> Prompt:
    values = {name: _tupled(value) for name, value in told.items()}
    return Prompt(tokens=ids, **(values | {"stop": frozenset(told["stop"])}))


def _of_guide(guide: Guide) -> dict[str, Any]:
    states = [
        [
            None if each.allowed is None else sorted(each.allowed),
            list(each.follow.items()),
            each.otherwise,
            each.budget,
            sorted(each.banned),
        ]
        for each in guide.states
    ]
    return {"states": states, "budgets": [asdict(each) for each in guide.budgets]}


def _guide(told: Mapping[str, Any]) -> Guide:
    states = tuple(
        State(None if allowed is None else frozenset(allowed), dict(follow), otherwise, budget, frozenset(banned))
        for allowed, follow, otherwise, budget, banned in told["states"]
    )
    return Guide(states, tuple(_made(Budget, each) for each in told["budgets"]))
