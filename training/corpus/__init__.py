"""Synthetic Harmony conversations that teach `tiny` what it knows. Everything follows from the seed."""

from training.corpus.dialog import Sample
from training.corpus.intents import Intent, intents
from training.corpus.samples import groups, held_out

__all__ = ["Intent", "Sample", "groups", "held_out", "intents"]
