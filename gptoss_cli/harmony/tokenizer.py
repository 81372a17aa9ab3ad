"""Text to tokens and back, exactly as gpt-oss was trained, from the model's own token list. Knows no message."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from gptoss_cli.errors import BadInput

if TYPE_CHECKING:
    import tiktoken

# the pre-tokenizer of o200k_harmony: openai/harmony src/tiktoken_ext/public_encodings.rs
PATTERN = "|".join(
    [
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    ]
)

# the special ids that belong to the rank file o200k_base: openai/gpt-oss gpt_oss/tokenizer.py
O200K_HARMONY_SPECIALS: Mapping[str, int] = {
    "<|startoftext|>": 199998,
    "<|endoftext|>": 199999,
    "<|return|>": 200002,
    "<|constrain|>": 200003,
    "<|channel|>": 200005,
    "<|start|>": 200006,
    "<|end|>": 200007,
    "<|message|>": 200008,
    "<|call|>": 200012,
}
O200K_HARMONY_SIZE = 201088
# of the published rank file; a model whose ordinary tokens have another one was not trained on this vocabulary
O200K_BASE_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"

# tiktoken panics on about a million blanks in a row: the backtracking of its `\s+(?!\S)` runs out of stack
LONGEST_BLANK = 400_000
BLANKS = re.compile(r"\s+")


@dataclass(frozen=True)
class Special:
    """The ids of Harmony's control tokens in one vocabulary."""

    start: int
    end: int
    message: int
    channel: int
    constrain: int
    call: int
    return_: int
    endoftext: int

    @classmethod
    def find(cls, specials: Mapping[str, int]) -> "Special":
        """The ids by the tokens' texts. Raises BadInput naming those that the vocabulary lacks."""
        texts = {field.name: f"<|{field.name.rstrip('_')}|>" for field in fields(cls)}
        missing = [text for text in texts.values() if text not in specials]
        if missing:
            raise BadInput(f"the vocabulary lacks {', '.join(missing)}: not a gpt-oss model")
        return cls(**{name: specials[text] for name, text in texts.items()})


class Tokenizer:
    """The vocabulary of one model. Immutable; encode and decode may be called from several threads.

    pieces: the bytes of ordinary token i at index i, in merge order; None or b"" there is an id that is no text.
    specials: text to id of every control token; such an id is never text, whatever `pieces` says. n_vocab: number of
    ids, unused ones included. Raises BadInput when a control token of Harmony or one of the 256 bytes is missing.
    """

    def __init__(self, pieces: Sequence[bytes | None], specials: Mapping[str, int], n_vocab: int | None = None) -> None:
        self.special = Special.find(specials)
        self.n_vocab = n_vocab if n_vocab is not None else max(len(pieces), max(specials.values()) + 1)
        self.specials = dict(specials)
        self._texts = {id: text for text, id in specials.items()}
        self._pieces = [piece or b"" for piece in pieces]
        for id in self._texts:
            if 0 <= id < len(self._pieces):
                self._pieces[id] = b""
        self._encoding = _encoding({piece: id for id, piece in enumerate(self._pieces) if piece})

    @property
    def stop(self) -> frozenset[int]:
        """The ids that end generation: <|return|>, <|call|> and, defensively, <|endoftext|>."""
        return frozenset((self.special.return_, self.special.call, self.special.endoftext))

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; never a special one, whatever the text spells. A lone surrogate becomes U+FFFD."""
        if len(text) <= LONGEST_BLANK:
            return self._encoding.encode_ordinary(text)
        return [id for part in _without_long_blanks(text) for id in self._encoding.encode_ordinary(part)]

    def piece(self, id: int) -> bytes:
        """The bytes of an ordinary token; b"" for a special, unused or unknown id."""
        return self._pieces[id] if 0 <= id < len(self._pieces) else b""

    def is_text(self, id: int) -> bool:
        """Whether `id` is an ordinary token."""
        return bool(self.piece(id))

    def text_of_special(self, id: int) -> str | None:
        """How a control token is written, `<|end|>` for example; None for any other id."""
        return self._texts.get(id)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`; control tokens as they are written, bytes that are no UTF-8 as U+FFFD."""
        data = b"".join(self._texts[id].encode() if id in self._texts else self.piece(id) for id in ids)
        return data.decode("utf-8", errors="replace")

    def rank_file_sha256(self) -> str:
        """The sha256 of the ordinary tokens written as a tiktoken rank file: equal vocabularies have equal ones."""
        lines = (base64.b64encode(piece) + b" %d\n" % id for id, piece in enumerate(self._pieces) if piece)
        return hashlib.sha256(b"".join(lines)).hexdigest()


def _encoding(ranks: dict[bytes, int]) -> "tiktoken.Encoding":
    import tiktoken  # 60 ms and a native module: only when a vocabulary is there

    missing = [byte for byte in range(256) if bytes((byte,)) not in ranks]
    if missing:  # tiktoken would panic at the first text that has one
        raise BadInput(f"the vocabulary lacks {len(missing)} of the 256 bytes, the first of them {missing[0]:#04x}")
    return tiktoken.Encoding("o200k_harmony", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})


def _without_long_blanks(text: str) -> Iterator[str]:
    """`text` in parts, cut only within a run of blanks that is too long: nowhere in a text that somebody wrote."""
    start = 0
    for run in BLANKS.finditer(text):
        for end in range(run.start() + LONGEST_BLANK, run.end(), LONGEST_BLANK):
            yield text[start:end]
            start = end
    yield text[start:]
