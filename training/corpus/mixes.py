"""What each part of the training consists of."""

from dataclasses import dataclass

COPYING_ENDS = 0.4  # until which share of training copying becomes less


@dataclass(frozen=True)
class Mix:
    """Shares of the samples.

    copying: at first, and from COPYING_ENDS on. guide: of what is not copying, before COPYING_ENDS and after. rest: of
    what is neither, by the names of samples.MAKERS; they need not add up to 1.
    """

    copying: tuple[float, float]
    guide: tuple[float, float]
    rest: dict[str, float]

    def copying_share(self, share: float) -> float:
        """How much of the samples is plain copying: more at first, as it is what the rest stands on.

        share: how much of the training is over, from 0 to 1.
        """
        first, last = self.copying
        return last + (first - last) * max(0.0, 1 - share / COPYING_ENDS)

    def guide_share(self, share: float) -> float:
        """How much of what is not copying is the guide."""
        return self.guide[share >= COPYING_ENDS]


# more of the guide once copying is learnt: there is much to know by heart
FIRST = Mix(
    (0.15, 0.04),
    (0.45, 0.6),
    {
        "instructions": 0.38,
        "memory": 0.18,
        "told": 0.08,
        "untold": 0.05,
        "Markdown": 0.1,
        "JSON": 0.21,
        "functions": 0.16,
        "python": 0.04,
        "browser": 0.13,
    },
)
# what the first part leaves weak: everything that copies long texts or several values
SECOND = Mix(
    (0.05, 0.05),
    (0.4, 0.4),
    FIRST.rest | {"instructions": 0.3, "told": 0.1, "Markdown": 0.14, "JSON": 0.4, "functions": 0.22, "browser": 0.3},
)
# what the mean of both leaves weak
LAST = Mix((0.05, 0.05), (0.4, 0.4), SECOND.rest | {"told": 0.12, "browser": 0.36, "first words": 0.2})
