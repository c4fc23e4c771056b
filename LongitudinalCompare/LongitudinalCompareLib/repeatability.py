"""Published limits within which measurements of an unchanged lesion differ, each read in the public source that it names.

Only what was read there is here: where there is nothing, the answer is "no published repeatability" and not a guess. The limits
of the QIBA profile for advanced disease and those of small nodules in QIBA's other profile were looked for and not found in a
public text, so they are not here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

VOLUME, LONGEST_DIAMETER, SHORT_AXIS = "volume", "longest diameter", "short axis"
QUANTITIES = (VOLUME, LONGEST_DIAMETER, SHORT_AXIS)

RESCAN, READERS = "rescan", "readers"
"""The whole chain again with a new scan; or readers who measured the same scan."""

NONE_PUBLISHED = "no published repeatability"

Z95 = 1.959963984540054
"""95 % of a normal distribution lie within so many standard deviations."""

Z97 = 1.8807936081512509
"""97 % of it lie below so many."""


@dataclass(frozen=True)
class PublishedLimits:
    """95 % limits of a difference, as published.

    quantity: one of `QUANTITIES`. what: `RESCAN` or `READERS`. organ: in small letters, "" for any; kind: "solid", "subsolid", or
    "" where the source does not tell. least_mm, most_mm: diameter (of volumes: of the ball of the same volume) of the lesions.
    low, high: relative, -0.25 for -25 %. observers: 0 for limits of the difference of two measurements; n for limits around the
    mean of n observers. patients: 0 where the source does not tell.
    """

    quantity: str
    what: str
    modality: str
    organ: str
    kind: str
    least_mm: float
    most_mm: float
    low: float
    high: float
    patients: int
    lesions: int
    source: str
    note: str = ""
    observers: int = 0

    @property
    def sd_ln(self) -> float:
        """Standard deviation of the log of one measurement: half the width of the limits on the log scale over 1.96, and over
        the square root of 2 for a difference of two, of (n-1)/n for one against the mean of n (independent errors)."""
        half = (np.log1p(self.high) - np.log1p(self.low)) / 2
        parts = 2.0 if self.observers == 0 else (self.observers - 1) / self.observers
        return float(half / Z95 / np.sqrt(parts))

    @property
    def degrees(self) -> float:
        """Degrees of freedom: patients less one, because lesions of one patient are not independent; infinite when not told."""
        return self.patients - 1.0 if self.patients > 1 else float("inf")

    @property
    def text(self) -> str:
        """The limits in words."""
        beside = "" if self.observers == 0 else f" around the mean of {self.observers} observers"
        return f"{100 * self.low:+.1f} to {100 * self.high:+.1f} %{beside}; {self.source}"


def ball_mm(volume_mm3: float) -> float:
    """Diameter of the ball of a volume."""
    return float((6 * volume_mm3 / np.pi) ** (1 / 3))


PUBLISHED = (
    PublishedLimits(
        VOLUME, RESCAN, "CT", "lung", "solid", 3.2, 44.5, -0.251, 0.289, 20, 202, "PMC3043750",
        "1 mm slices, one semi-automatic program, second scan at a far lower dose, widest of the reader pairs",
    ),
    PublishedLimits(
        VOLUME, RESCAN, "CT", "lung", "solid", ball_mm(5), ball_mm(869), -0.27, 0.27, 101, 233,
        "Pulmonary nodules: volume repeatability at multidetector CT lung cancer screening (Radiology)",
        "low-dose screening scans 3 months apart, one semi-automatic program; nodules at the pleura left out",
    ),
    PublishedLimits(
        VOLUME, RESCAN, "CT", "lung", "subsolid", 0.0, 30.0, -0.354, 0.286, 0, 44,
        "Scholten et al., Eur Radiol 2015;25:1040-1047, doi 10.1007/s00330-014-3478-1",
        "stable nodules, scans 3 months apart; the abstract gives no sizes, a nodule is at most 30 mm",
    ),
    PublishedLimits(
        LONGEST_DIAMETER, RESCAN, "CT", "lung", "subsolid", 0.0, 30.0, -0.13, 0.13, 69, 69, "PMC4747473",
        "second scan on the same day, same reader; other readers 21.0 %; the abstract gives no sizes",
    ),
    PublishedLimits(
        LONGEST_DIAMETER, RESCAN, "CT", "lung", "", 10.0, float("inf"),
        1.2 ** (-Z95 / Z97) - 1, 1.2 ** (Z95 / Z97) - 1, 0, 0,
        "Oxnard et al., J Clin Oncol 2011, PMC3157977",
        "second scan within 15 minutes, read side by side. Published: 3 % of changes are +20 % or more. That is the quantile next"
        " to the wanted 2.5 %, so the limit is ln 1.2 * 1.960 / 1.881; the middle is narrower (84 % within 10 %)",
    ),
    PublishedLimits(
        VOLUME, READERS, "CT", "lung", "", 0.0, float("inf"), -0.26, 0.186, 23, 53,
        "CT tumor volume measurement in advanced non-small-cell lung cancer, Acad Radiol 2011;18(1)",
        "two radiologists, same scan, commercial software",
    ),
    PublishedLimits(
        LONGEST_DIAMETER, READERS, "CT", "", "", 0.0, float("inf"), -0.221, 0.254, 0, 0,
        "Yoon et al., Eur J Cancer 2016;53:5-15, doi 10.1016/j.ejca.2015.10.014",
        "pooled over twelve studies, single lesion, by hand; one reader twice: -17.8 to +16.1 %",
    ),
    PublishedLimits(
        VOLUME, READERS, "MR", "vestibular schwannoma", "", 0.0, ball_mm(3101), -0.268, 0.268, 100, 100,
        "Defining tumor growth in vestibular schwannomas, Neuroradiology 2024 (PubMed 38980343)",
        "contrast-enhanced T1, same scan; the figure of the smallest quarter (up to 193 mm3), taken up to the largest quarter",
        observers=5,
    ),
    PublishedLimits(
        VOLUME, READERS, "MR", "vestibular schwannoma", "", ball_mm(3101), float("inf"), -0.073, 0.073, 100, 100,
        "Defining tumor growth in vestibular schwannomas, Neuroradiology 2024 (PubMed 38980343)",
        "contrast-enhanced T1, same scan; the largest quarter (3101 mm3 and more)",
        observers=5,
    ),
)  # fmt: skip


@lru_cache(maxsize=4096)
def published(quantity: str, what: str, modality: str, organ: str, kind: str, diameter_mm: float) -> PublishedLimits | None:
    """The published limits that fit a lesion; the widest where several do; None where nothing does.

    organ: finding site in words; a source fits when its organ is part of them. kind: "solid", "subsolid" or "" for not known,
    which every kind fits, so that the widest counts.
    """
    fitting = [
        one
        for one in PUBLISHED
        if (one.quantity, one.what, one.modality) == (quantity, what, modality.upper())
        and one.organ in organ.casefold()
        and (not kind or not one.kind or one.kind == kind)
        and one.least_mm <= diameter_mm <= one.most_mm
    ]
    return max(fitting, key=lambda one: one.sd_ln, default=None)
