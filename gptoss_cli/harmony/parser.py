"""The tokens of a reply, one at a time, to messages; never fails. Knows ids and the format, not what the text means."""

import codecs
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from gptoss_cli.harmony import header as headers
from gptoss_cli.harmony.header import Mark
from gptoss_cli.harmony.tokenizer import Tokenizer
from gptoss_cli.messages import Channel, Delta, End, Message, Role

LONGEST_HEADER = 48  # ids beside a tool's name; the longest that gpt-oss writes on purpose has about 15


@dataclass(frozen=True)
class Diagnostic:
    """Something that a well-formed reply does not have. at: index of the id; tokens: ids that are in no message."""

    code: str
    at: int
    tokens: tuple[int, ...] = ()


class _Place(Enum):
    HEADER = auto()
    CONTENT = auto()
    BETWEEN = auto()
    OVER = auto()


class Parser:
    """One reply. Feed it every id; it gives deltas as text becomes certain, and messages as they close.

    tools: full names of the tools that are offered. opened: ids that the prompt has put after `<|start|>assistant`; the
    messages they close are not given again. Not thread-safe.
    """

    def __init__(self, tokenizer: Tokenizer, tools: Collection[str] = (), opened: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._special = tokenizer.special
        self._tools = frozenset(tools)
        self._longest_header = LONGEST_HEADER + max((len(tokenizer.encode(tool)) for tool in self._tools), default=0)
        self._assistant = tuple(tokenizer.encode(Role.ASSISTANT))
        self._ends = {
            self._special.end: End.END,
            self._special.return_: End.RETURN,
            self._special.call: End.CALL,
            self._special.endoftext: End.EOT,
        }
        self._at = -1
        self._place = _Place.HEADER
        self._role_known = True  # the prompt has opened the message: <|start|>assistant
        self._raw: list[int] = [self._special.start, *self._assistant]
        self._pending: list[int] = []  # ids of the header so far; in CONTENT, a word held back
        self._waiting: list[Message] = []  # from the first message without a channel on: what it is shows later
        self._begin_content(headers.Header())
        self.diagnostics: list[Diagnostic] = []
        self.stop: str | None = None
        for id in opened:
            self.feed(id)
        self._waiting.clear()
        self._at = -1

    @property
    def ended(self) -> bool:
        """Whether the reply is over; later ids are only noted."""
        return self._place is _Place.OVER

    @property
    def in_content(self) -> bool:
        """Whether the id fed last belongs to a message's text."""
        return self._place is _Place.CONTENT and self._in_text

    @property
    def channel(self) -> Channel | None:
        """The channel of the message being read; None when it has not said one."""
        return self._header.channel

    def feed(self, id: int) -> list[Delta | Message]:
        """What becomes certain with `id`. Takes any number, never raises."""
        self._at += 1
        self._in_text = False
        match self._place:
            case _Place.CONTENT:
                return self._content(id)
            case _Place.HEADER:
                return self._in_header(id)
            case _Place.BETWEEN:
                return self._between(id)
            case _Place.OVER:
                self._note("after_the_end", id)
                return []

    def close(self) -> list[Delta | Message]:
        """The reply is over: what was open is given as incomplete, and text without a channel finds its place."""
        events: list[Delta | Message] = []
        if self._place is _Place.HEADER:
            events += self._flush_header(End.LENGTH)
        elif self._place is _Place.CONTENT:
            events += self._release_held()
            events += self._close_content(End.LENGTH)
        self._place = _Place.OVER
        self.stop = self.stop or "length"
        return events + self._settle()

    # between messages

    def _between(self, id: int) -> list[Delta | Message]:
        special = self._special
        if id == special.start:
            self._open_header(id, role_known=False)
            return []
        if id in self._ends:
            self._note("redundant_end")
            if self._ends[id] is not End.END:
                self._finish(self._ends[id].value)
            return []
        if id == special.message:
            self._note("header_missing")
            self._raw = [id]
            self._begin_content(headers.Header())
            self._place = _Place.CONTENT
            return []
        if id == special.channel or id == special.constrain or self._tokenizer.is_text(id):
            self._note("start_missing")
            self._open_header(None, role_known=True)
            return self._in_header(id)
        self._note("unknown_token", id)
        return []

    def _open_header(self, id: int | None, role_known: bool) -> None:
        self._place = _Place.HEADER
        self._role_known = role_known
        self._raw = [] if id is None else [id]
        self._pending = []

    # in a header

    def _in_header(self, id: int) -> list[Delta | Message]:
        special = self._special
        if id == special.message:
            self._raw.append(id)
            return self._end_header()
        if id in self._ends:
            self._raw.append(id)
            events = self._flush_header(self._ends[id])
            return events + self._after_message(id)
        if id == special.start:
            events = self._flush_header(End.END) if self._pending else []
            if not self._pending and self._place is _Place.HEADER:
                self._note("doubled_start")
            if self._place is not _Place.OVER:
                self._open_header(id, role_known=False)
            return events
        if id in (special.channel, special.constrain) or self._tokenizer.is_text(id):
            self._raw.append(id)
            self._pending.append(id)
            return self._give_up_header() if len(self._pending) > self._longest_header else []
        self._note("unknown_token", id)
        return []

    def _end_header(self) -> list[Delta | Message]:
        header = self._parse_header(has_body=True)
        if header.role is None:
            return self._stop_for_role()
        if header.rest:
            self._note("junk_in_header")
        self._place = _Place.CONTENT
        self._begin_content(header)
        return []

    def _parse_header(self, *, has_body: bool) -> headers.Header:
        header = headers.parse(self._pieces(), self._tools, role_known=self._role_known, has_body=has_body)
        if header.several_channels:
            self._note("several_channels")
        if header.bad_channel:
            self._note("bad_channel")
        if header.missing_channel_token:
            self._note("channel_token_missing")
        return header

    def _pieces(self) -> list[str | Mark]:
        """The header's texts and control tokens; adjacent text tokens are one text."""
        pieces: list[str | Mark] = []
        run: list[int] = []
        for id in [*self._pending, self._special.message]:
            if self._tokenizer.is_text(id):
                run.append(id)
                continue
            if run:
                pieces.append(self._tokenizer.decode(run))
                run = []
            if id == self._special.channel:
                pieces.append(Mark.CHANNEL)
            elif id == self._special.constrain:
                pieces.append(Mark.CONSTRAIN)
        return pieces

    def _flush_header(self, end: End) -> list[Delta | Message]:
        """No <|message|> came: what the header does not use is the text of a message."""
        header = self._parse_header(has_body=False)
        if header.role is None:
            return self._stop_for_role()
        text = header.rest.strip()
        if not text and header.channel is None and header.recipient is None:
            if self._pending:
                self._note("empty_message", *self._pending)
            return []
        if end is End.LENGTH and headers.is_beginning(text, self._tools):
            self._note("cut_in_header", *self._pending)
            return []
        self._note("message_token_missing")
        self._begin_content(header)
        self._text = text
        delta: list[Delta | Message] = [Delta(header.channel, text, header.recipient)] if text else []
        return delta + self._emit(end, text)

    def _give_up_header(self) -> list[Delta | Message]:
        """Too long for a header: all of it is text without a channel."""
        self._note("header_too_long")
        ids, self._pending = self._pending, []
        self._place = _Place.CONTENT
        self._begin_content(headers.Header())
        events: list[Delta | Message] = []
        for id in ids:
            if self._tokenizer.is_text(id):
                events += self._say(id)
            else:
                self._note("unknown_token", id)
        return events

    def _stop_for_role(self) -> list[Delta | Message]:
        """The model writes a tool's result or a user's turn itself: that is not to be trusted."""
        self._note("role", *self._raw)
        self._finish("bad_role")
        return []

    # in a message's text

    def _begin_content(self, header: headers.Header) -> None:
        self._header = header
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._text = ""
        self._held: list[int] = []
        self._in_text = False

    def _content(self, id: int) -> list[Delta | Message]:
        if self._tokenizer.is_text(id):
            self._in_text = True
            self._raw.append(id)
            return self._text_token(id)
        special = self._special
        if id in self._ends:
            self._raw.append(id)
            return self._release_held() + self._close_content(self._ends[id]) + self._after_message(id)
        if id == special.start:
            self._note("end_missing")
            events = self._release_held() + self._close_content(End.END)
            if not self.ended:
                self._open_header(id, role_known=False)
            return events
        if id == special.channel:
            return self._channel_in_content(id)
        self._note("token_in_text", id)
        return []

    def _text_token(self, id: int) -> list[Delta | Message]:
        # "assistant" before a channel token is a header whose start is missing: hold it back for a step
        events = self._release_held() if self._held and not self._continues(id) else []
        if self._continues(id):
            self._held.append(id)
            return events
        return events + self._say(id)

    def _continues(self, id: int) -> bool:
        """Whether `id` is the next one of the word `assistant`, of which those held back are the beginning."""
        place = len(self._held)
        return place < len(self._assistant) and self._assistant[place] == id

    def _release_held(self) -> list[Delta | Message]:
        held, self._held = self._held, []
        return [event for id in held for event in self._say(id)]

    def _say(self, id: int) -> list[Delta | Message]:
        text = self._decoder.decode(self._tokenizer.piece(id))
        if not text:
            return []
        self._text += text
        return [Delta(self._header.channel, text, self._header.recipient)]

    def _channel_in_content(self, id: int) -> list[Delta | Message]:
        """A new header without <|end|><|start|>; a word `assistant` before it belongs to it."""
        self._note("end_missing")
        held = self._held if tuple(self._held) == self._assistant else []
        events: list[Delta | Message] = []
        if held:
            self._held = []
            del self._raw[-len(held) :]
        events += self._release_held() + self._close_content(End.END)
        if self.ended:
            self._note("after_the_end", *held)
            return events
        self._open_header(None, role_known=True)
        self._raw = [*held, id]
        self._pending = [*held, id]
        return events

    def _close_content(self, end: End) -> list[Delta | Message]:
        events: list[Delta | Message] = []
        if rest := self._decoder.decode(b"", final=True):
            self._text += rest
            events.append(Delta(self._header.channel, rest, self._header.recipient))
        return events + self._emit(end, self._text)

    def _emit(self, end: End, text: str) -> list[Delta | Message]:
        header = self._header
        message = Message(
            Role.ASSISTANT,
            (text,),
            header.channel,
            recipient=header.recipient,
            content_type=header.content_type,
            tokens=tuple(self._raw),
            end=end,
        )
        self._place = _Place.BETWEEN
        self._raw = []
        self._pending = []
        if header.recipient is not None and end is not End.LENGTH:
            self._finish("<|call|>" if end is End.CALL else "call")
        return self._ordered(message)

    def _ordered(self, message: Message) -> list[Delta | Message]:
        """The messages whose place is now certain; one without a channel is an analysis once an answer follows."""
        unlabelled = message.channel is None and message.recipient is None
        if not self._waiting and not unlabelled:
            return [message]
        self._waiting.append(message)
        if message.channel is Channel.FINAL or message.recipient is not None:
            return self._label(Channel.ANALYSIS)
        return []

    def _label(self, channel: Channel) -> list[Delta | Message]:
        """What waits, the messages without a channel (and without a recipient) filed under `channel`."""
        waiting, self._waiting = self._waiting, []
        return [
            replace(each, channel=channel) if each.channel is None and each.recipient is None else each
            for each in waiting
        ]

    # the end

    def _after_message(self, id: int) -> list[Delta | Message]:
        end = self._ends[id]
        if not self.ended:
            self._place = _Place.BETWEEN
            if end is not End.END:
                self._finish(end.value)
        return []

    def _finish(self, stop: str) -> None:
        self._place = _Place.OVER
        self.stop = self.stop or stop

    def _settle(self) -> list[Delta | Message]:
        """No answer and no call came: text without a channel was the answer."""
        if self._waiting:
            self._note("unlabelled_text_promoted")
        return self._label(Channel.FINAL)

    def _note(self, code: str, *tokens: int) -> None:
        self.diagnostics.append(Diagnostic(code, self._at, tokens))
