"""The automaton that keeps headers well formed and counts thoughts and answers, for any vocabulary. Knows ids, no text.

gpt-oss-20b writes about 4 % of its headers wrongly at temperature 1 (ggml-org/llama.cpp#27720). Inside a header only
what can lead to a well-formed one may be sampled, and thoughts cannot end the reply: a model that writes well never
notices.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from gptoss_cli.harmony.render import force_final
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.messages import Channel, Role
from gptoss_cli.prompt import Budget, Guide, State

# what may stand before <|message|>; None is <|constrain|>
CONTENT_TYPES: tuple[tuple[str | None, ...], ...] = ((" ", None, "json"), (None, "json"), (" json",), (" code",))

# where headers may be anything, a reply with a limit on its answer has room for so many ids outside of messages beside
HEADER_IDS = 256


def guide(
    tokenizer: Tokenizer,
    tools: Collection[str],
    *,
    header_guard: bool,
    max_thinking: int | None,
    max_tokens: int | None,
    opened: Sequence[int] = (),
) -> Guide | None:
    """The guide of one reply, which starts after `opened`; None when there is nothing to guard or to count.

    tools: full names that may be called. max_thinking: ids of analysis after which the final answer is opened, over all
    analyses of the reply. max_tokens: ids of all else that it writes (answer, preambles, calls) after which generation
    ends.
    """
    if not header_guard and max_thinking is None and max_tokens is None:
        return None
    graph = _Graph(tokenizer)
    contents = _contents(graph, tokenizer, guarded=header_guard)
    _add_budgets(graph, contents, tokenizer, max_thinking, max_tokens)
    start = graph.node()
    if header_guard:
        _grow_strict(graph, start, contents, tools)
    else:
        _grow_tolerant(graph, start, contents, max_tokens)
    return graph.guide(start, opened)


Contents = dict[Channel | None, int]  # None: a call


def _contents(graph: "_Graph", tokenizer: Tokenizer, *, guarded: bool) -> Contents:
    """A state per kind of text. What has no place in it is banned: control tokens, and ends that are not its own."""
    special = tokenizer.special
    control = {special.start, special.message, special.channel, special.constrain}
    thoughts = control | {special.return_, special.call, special.endoftext}
    banned: dict[Channel | None, set[int]] = {
        Channel.ANALYSIS: thoughts,
        Channel.COMMENTARY: thoughts,
        Channel.FINAL: control | {special.call},
        None: control,
    }
    return {kind: graph.node(banned=frozenset(ids) if guarded else frozenset()) for kind, ids in banned.items()}


def _add_budgets(
    graph: "_Graph", contents: Contents, tokenizer: Tokenizer, max_thinking: int | None, max_tokens: int | None
) -> None:
    final = contents[Channel.FINAL]
    if max_thinking is not None:
        graph.limit((contents[Channel.ANALYSIS],), Budget(max_thinking, force_final(tokenizer), final))
    if max_tokens is not None:
        # calls and preambles, too: a model that writes on without end often does it there
        graph.limit((final, contents[Channel.COMMENTARY], contents[None]), Budget(max_tokens))


def _grow_strict(graph: "_Graph", start: int, contents: Contents, tools: Collection[str]) -> None:
    """Every well-formed header, and no other: `start` is after <|start|>assistant."""
    special = graph.special
    between, answered = graph.node(exact=True), graph.node(exact=True)
    for place in (between, answered):
        graph.path(place, (special.start, *graph.ids(Role.ASSISTANT)), start)
    for content in contents.values():
        graph.link(content, special.end, between)
    graph.link(contents[Channel.FINAL], special.end, answered)
    for id in (special.return_, special.endoftext):  # <|end|><|return|>: vllm-project/vllm#50690
        graph.link(answered, id, between)

    def end_header(place: int, content: int) -> None:
        graph.link(place, special.message, content)
        for parts in CONTENT_TYPES:
            ids = [id for part in parts for id in ((special.constrain,) if part is None else graph.ids(part))]
            graph.link(graph.path(place, ids), special.message, content)

    def recipients(place: int, then: Callable[[int], None]) -> None:
        for tool in sorted(tools):
            then(graph.path(place, graph.ids(f" to={tool}")))

    def end_call(place: int) -> None:
        end_header(place, contents[None])

    def channel_of_call(place: int) -> None:  # the recipient stood in the role's place
        for channel in (Channel.ANALYSIS, Channel.COMMENTARY):
            end_call(graph.path(place, (special.channel, *graph.ids(channel))))

    graph.exact(start)
    for channel in Channel:
        after = graph.path(start, (special.channel, *graph.ids(channel)))
        end_header(after, contents[channel])
        if channel is not Channel.FINAL:
            recipients(after, end_call)
    recipients(start, channel_of_call)


def _grow_tolerant(graph: "_Graph", start: int, contents: Contents, max_tokens: int | None) -> None:
    """Any id anywhere; which channel is being read is followed as well as can be."""
    special = graph.special
    # a message to anybody but the assistant itself is a call: no thought that may be cut short
    called = graph.node()
    graph.link(called, special.message, contents[None])
    for end in (special.end, special.start):
        graph.link(called, end, start)

    def recipient(place: int) -> None:
        """To be called last for a place: what is linked there is linked on the way to the recipient, too."""
        to = graph.detour(place, graph.ids(" to"))
        graph.otherwise(to, called)  # which of many ids begins with `=` is not looked up
        graph.path(to, graph.ids("=assistant"), place, loose=called)

    channel_follows = graph.node()
    for channel in Channel:
        named = graph.path(channel_follows, graph.ids(channel), loose=start)
        graph.link(named, special.message, contents[channel])
        graph.stay(named)
        graph.link(named, special.channel, channel_follows)
        graph.link(named, special.end, start)
        recipient(named)
    graph.otherwise(channel_follows, start)
    graph.link(start, special.channel, channel_follows)
    graph.link(start, special.message, contents[Channel.FINAL])  # no channel: read as the answer
    recipient(start)
    for content in contents.values():
        graph.link(content, special.end, start)
        graph.link(content, special.start, start)
        graph.link(content, special.channel, channel_follows)
    if max_tokens is not None:
        graph.limit_others(Budget(max_tokens + HEADER_IDS), but=contents[Channel.ANALYSIS])


@dataclass
class _Node:
    """A state under construction. otherwise None: it stays where it is."""

    follow: dict[int, int] = field(default_factory=dict)
    exact: bool = False  # only ids of `follow` may come
    otherwise: int | None = None
    budget: int | None = None
    banned: frozenset[int] = frozenset()


class _Graph:
    """States and what leads from one to another."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.ids = tokenizer.encode
        self.special = tokenizer.special
        self._nodes: list[_Node] = []
        self._budgets: list[Budget] = []

    def node(self, *, exact: bool = False, banned: frozenset[int] = frozenset()) -> int:
        self._nodes.append(_Node(exact=exact, banned=banned))
        return len(self._nodes) - 1

    def exact(self, place: int) -> None:
        self._nodes[place].exact = True

    def otherwise(self, place: int, target: int) -> None:
        self._nodes[place].otherwise = target

    def stay(self, place: int) -> None:
        self._nodes[place].otherwise = None

    def limit(self, places: Iterable[int], budget: Budget) -> None:
        """What is sampled in any of `places` counts."""
        for place in places:
            self._nodes[place].budget = len(self._budgets)
        self._budgets.append(budget)

    def limit_others(self, budget: Budget, but: int) -> None:
        """What is sampled in any state without a budget counts, `but` excepted."""
        self.limit([place for place, node in enumerate(self._nodes) if node.budget is None and place != but], budget)

    def link(self, place: int, id: int, target: int) -> None:
        self._nodes[place].follow[id] = target

    def path(self, place: int, ids: Sequence[int], target: int | None = None, *, loose: int | None = None) -> int:
        """The state after `ids`, on the way there what already is; its last step leads to `target` when given.

        loose: where any other id leads from the states made for it; without it no other id may come there.
        """
        for count, id in enumerate(ids, start=1):
            follow = self._nodes[place].follow
            if target is not None and count == len(ids):
                follow[id] = target
            elif id not in follow:
                follow[id] = self.node(exact=loose is None)
                self._nodes[follow[id]].otherwise = loose
            place = follow[id]
        return place

    def detour(self, place: int, ids: Sequence[int]) -> int:
        """The state after `ids`; at any other id on the way everything goes on as in `place`."""
        usual, at = self._nodes[place], place
        for id in ids:
            back = place if usual.otherwise is None else usual.otherwise
            self._nodes.append(_Node(dict(usual.follow), otherwise=back))
            self.link(at, id, len(self._nodes) - 1)
            at = len(self._nodes) - 1
        return at

    def guide(self, start: int, opened: Sequence[int]) -> Guide:
        """The guide whose state 0 is the one after `opened`."""
        begin = start
        for id in opened:
            node = self._nodes[begin]
            begin = node.follow.get(id, begin if node.otherwise is None else node.otherwise)
        order = [begin, *(place for place in range(len(self._nodes)) if place != begin)]
        number = {place: count for count, place in enumerate(order)}
        budgets = [
            each if each.then is None else Budget(each.limit, each.forced, number[each.then]) for each in self._budgets
        ]
        return Guide(tuple(self._state(place, number) for place in order), tuple(budgets))

    def _state(self, place: int, number: dict[int, int]) -> State:
        node = self._nodes[place]
        follow = {id: number[to] for id, to in node.follow.items()}
        otherwise = number[place if node.otherwise is None else node.otherwise]
        return State(frozenset(follow) if node.exact else None, follow, otherwise, node.budget, node.banned)
