"""Synthetic Harmony conversations that teach `tiny` what it knows. Everything follows from the seed."""

from training.corpus.intents import Intent, intents
from training.corpus.samples import Sample, held_out, samples

__all__ = ["Intent", "Sample", "held_out", "intents", "samples"]
