"""Writes the measured figures into the model card, between its markers; knows the records of training and evaluation.

python -m training.card [FOLDER]

FOLDER has training.json, evaluation.json and through.json.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from training.evaluate import ROWS, STEP

CARD = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- figures: python -m training.card -->", "<!-- end of figures -->"
HEAD = (
    *("held-out prompts, temperature 0", "prompts", "floor", "aim"),
    *("header guard off", "word for word", "guard on", "20 by `gptoss`"),
)
ROWS_SAID = {
    "well-formed": "well-formed Harmony",
    "language": "in the language that is wanted",
    "guide": "questions about gptoss, and courtesies",
    "instructions": "an instruction of the developer changes the form",
    "memory": "remembers name, color or city from an earlier turn",
    "functions": "right function, right arguments, result in the answer",
    "python": "`python` for arithmetic, its output in the answer",
    "browser": "search, open, cite the line",
    "JSON": "JSON that the schema in `# Response Formats` allows",
    "Markdown": "a code block, a list, a table when asked",
}


def figures(training: Mapping[str, Any], evaluation: Mapping[str, Any], through: Mapping[str, float]) -> str:
    """The section of the card that is measured. Any: JSON documents of training.train and training.evaluate.

    through: the shares of training.through.
    """
    return "\n\n".join((_training(training), _rows(evaluation, through), _forms(evaluation)))


def _training(record: Mapping[str, Any]) -> str:
    curve: Sequence[tuple[int, float]] = record["loss"]
    rows = [
        ("training time", f"{record['minutes']:.0f} minutes on 2 cores"),
        ("tokens seen", f"{record['tokens'] / 1e6:.2f} M"),
        ("parameters", f"{record['parameters'] / 1e6:.2f} M"),
        ("`tiny.gguf`", f"{record['size_bytes'] / 1e6:.2f} MB"),
        ("loss", ", ".join(f"{loss:.2f} after {tokens / 1e6:.1f} M" for tokens, loss in _some(curve))),
    ]
    return _table(("training", ""), rows)


def _some(curve: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """About five points of the curve, the last one among them."""
    step = max(1, len(curve) // 4)
    return [*curve[: -step // 2 : step], curve[-1]]


def _rows(record: Mapping[str, Any], through: Mapping[str, float]) -> str:
    guarded, tokens, texts = record["with_header_guard"], record["analysis_tokens"], record["word_for_word"]
    rows = [
        (
            said,
            str(record["prompts"][row]),
            _percent(ROWS[row][0]),
            _percent(ROWS[row][1]),
            _percent(record[row]),
            _percent(texts[row]) if row in texts else "",
            _percent(guarded[row]),
            _percent(through[row]) if row in through else "",
        )
        for row, said in ROWS_SAID.items()
    ]
    means = [tokens[level] for level in ("low", "medium", "high")]
    steps = " and ".join(f"{after / before:.1f}x" for before, after in pairwise(means))
    lengths = f"{steps} ({' / '.join(f'{mean:.0f}' for mean in means)})"
    rows.append(
        ("tokens of analysis, each step of low / medium / high", "", f"{STEP[0]}x", f"{STEP[1]}x", lengths, *[""] * 3)
    )
    return _table(HEAD, rows)


def _forms(record: Mapping[str, Any]) -> str:
    return _table(("of these", "right (guard off)"), [(form, _percent(each)) for form, each in record["forms"].items()])


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %").replace(".0 %", " %")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_figures(card: str, measured: str) -> str:
    """The card with `measured` between its markers."""
    before, _, rest = card.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{measured}\n{END}{after}"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else CARD.parent / "out"
    training, evaluation, through = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("training", "evaluation", "through")
    )
    measured = figures(training, evaluation["figures"], through)
    CARD.write_text(with_figures(CARD.read_text(encoding="utf-8"), measured), encoding="utf-8")


if __name__ == "__main__":
    main()
