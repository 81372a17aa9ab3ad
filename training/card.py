"""Writes the measured figures into the model card, between its markers; knows the records of training and evaluation.

python -m training.card [FOLDER]
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

CARD = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- figures: python -m training.card -->", "<!-- end of figures -->"
KINDS = {
    "plain": "a question alone",
    "document": "below a document (stdin, `-f`)",
    "turns": "after one or two earlier turns",
    "off": "`--reasoning off`",
    "cut": "`--max-thinking 12`",
    "call": "a call of the offered function, arguments exact",
    "result": "the answer from the function's result, word for word",
}


def figures(training: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """The section of the card that is measured. Any: JSON documents of training.train and training.evaluate."""
    return "\n\n".join((_training(training), _floors(evaluation), _kinds(evaluation)))


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


def _floors(record: Mapping[str, Any]) -> str:
    guarded, tokens = record["with_header_guard"], record["analysis_tokens"]
    lengths = " / ".join(f"{tokens[level]:.0f}" for level in ("low", "medium", "high"))
    rows = [
        ("well-formed Harmony", "97 %", _percent(record["well-formed"]), _percent(guarded["well-formed"])),
        ("in the language of the question", "95 %", _percent(record["language"]), _percent(guarded["language"])),
        (
            f"{record['intents']} intents answered rightly",
            "80 %",
            _percent(record["answers"]),
            _percent(guarded["answers"]),
        ),
        ("... in English", "", _percent(record["answers_english"]), ""),
        ("... in Chinese", "", _percent(record["answers_chinese"]), ""),
        ("mean analysis tokens, low / medium / high", "high at least twice low", lengths, ""),
    ]
    head = (f"{record['prompts']} held-out prompts, temperature 0", "at least", "header guard off", "on")
    return _table(head, rows)


def _kinds(record: Mapping[str, Any]) -> str:
    rows = [(KINDS[kind], _percent(share)) for kind in KINDS if (share := record["by_kind"].get(kind)) is not None]
    return _table(("asked how", "right (guard off)"), rows)


def _percent(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")


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
    training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["figures"]
    CARD.write_text(with_figures(CARD.read_text(encoding="utf-8"), figures(training, evaluation)), encoding="utf-8")


if __name__ == "__main__":
    main()
