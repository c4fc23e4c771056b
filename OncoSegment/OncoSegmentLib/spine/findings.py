"""What a check says: a status, the vertebra, one sentence; and the thresholds of all checks with where they come from."""

from __future__ import annotations

from dataclasses import dataclass

STATUSES = ("fail", "warn", "ok", "not checked")
"""From what must be looked at to what could not be told."""

OURS = "our choice"

LEAST_RATIO, MOST_RATIO = 0.6, 1.6
"""Spacing to that of its surroundings, and volume to that of the neighbor above."""

MOST_BETWEEN = 1.8
"""Spacing to that of its surroundings from which another vertebra has room in between: one that is left out gives 2."""

REGION_SPACING_MM = {"C": (10.0, 28.0), "T": (14.0, 40.0), "L": (22.0, 52.0)}
"""Distance of the centroids of a vertebra and the next one below, by the region of the upper one."""

MOST_OFF_MM = 8.0
MOST_VOLUME_RATIO = 1.75
LEAST_VOLUME_ML = 2.0
MOST_IN_PIECES, PIECES_FAIL = 0.05, 0.2
MOST_CONTACT = 0.5
THICK_MM = 5.0
MOST_DENSE_SHARE, LEAST_MEAN_HU, MOST_MEAN_HU = 0.01, 0.0, 900.0
RIB_REACH_MM = 15.0
CLEAR, LIKELY = 3.0, 1.1
"""Natural logarithms of 20 and 3: how much more likely one reading must be than the next best to be called clear or likely."""


@dataclass(frozen=True)
class Check:
    """title: for a table. threshold: what counts, with its source."""

    id: str
    title: str
    threshold: str


CHECKS = (
    Check("order", "Order along the spine", "levels must follow each other down the fitted curve; nothing to set"),
    Check("gaps", "Gaps and duplicates", "each level from the first to the last once (T13 and L6 may be absent)"),
    Check(
        "spacing",
        "Spacing",
        f"{LEAST_RATIO} to {MOST_RATIO} times that of the surroundings, {MOST_BETWEEN} and more: fail; C 10-28, T 14-40,"
        f" L 22-52 mm; at most {MOST_OFF_MM:g} mm beside the curve of the neighbors. {OURS}: 0.91 to 1.30 times in the"
        " reference patient and a public CT, at most 2.5 mm beside it",
    ),
    Check(
        "volume",
        "Volumes",
        f"{LEAST_RATIO} to {MOST_RATIO} times the vertebra above, below {MOST_VOLUME_RATIO} times the surroundings; growing"
        f" downwards. {OURS}: 0.91 to 1.47 times the one above in the reference patient and a public CT, two merged ones give 2",
    ),
    Check(
        "pieces",
        "One body, one label",
        f"at most {MOST_IN_PIECES:.0%} of the voxels beside the largest piece ({PIECES_FAIL:.0%}: fail); face shared with"
        f" another label below {MOST_CONTACT} times V^(2/3) of the surroundings. {OURS}: at most 0.28 where a public CT is"
        f" right, about 1 for a body cut in two; slices of {THICK_MM:g} mm and more hide thin discs: a warning only",
    ),
    Check(
        "anchors",
        "Anchors",
        "sacrum below L5 or L6; skull on C1; ribs 1, 11 and 12 at their own vertebra, others at theirs or the one above;"
        f" a rib counts up to {RIB_REACH_MM:g} mm from a vertebra ({OURS}: 9 to 14 mm on slices of 2 and 3 mm of two public CT)",
    ),
    Check(
        "variants",
        "Transitional vertebrae",
        "prior 18 of 418 with one vertebra more and 14 with one less (Tins et al., Insights Imaging 2016, 7:199-203);"
        f" likely from 3, clear from 20 times the next reading ({OURS})",
    ),
    Check("border", "Cut by the border", "a vertebra with a voxel on the border of the scan"),
    Check("discs", "Bodies and discs in turn", "one disc between two vertebrae below C2; one vertebral body in each below C1"),
    Check(
        "sides",
        "Right, left, up",
        "paired structures, liver and spleen on their sides of the spine; levels grow towards the feet",
    ),
    Check(
        "values",
        "Size and HU",
        f"at least {LEAST_VOLUME_ML:g} ml; in CT a mean of {LEAST_MEAN_HU:g} to {MOST_MEAN_HU:g} HU, at most"
        f" {MOST_DENSE_SHARE:.0%} of the voxels above 2000 HU. {OURS}: no bone has a mean of fat, and cortical"
        " bone stays below 2000 HU",
    ),
    Check(
        "shift",
        "Shift of all levels",
        f"best reading at least 3 (likely) or 20 times (clear) the next ({OURS}); shifts of -2 to +2",
    ),
    Check("runs", "Two runs", "the same vertebra (centroids nearer than half the spacing) has the same level in both"),
)
"""The eleven checks of one segmentation, then those of the column's level."""


@dataclass(frozen=True)
class Finding:
    """What one check says. levels: the vertebrae it is about. segments: their places in the segmentation, for a jump."""

    check: str
    status: str
    sentence: str
    levels: tuple[str, ...] = ()
    segments: tuple[int, ...] = ()

    def as_dict(self) -> dict:
        """JSON-ready, with title and threshold of the check."""
        check = check_of(self.check)
        return {
            "check": self.check,
            "title": check.title,
            "status": self.status,
            "levels": list(self.levels),
            "sentence": self.sentence,
            "threshold": check.threshold,
            "segments": list(self.segments),
        }


def check_of(name: str) -> Check:
    """The check with this id."""
    return next(check for check in CHECKS if check.id == name)


def about(check: str, status: str, sentence: str, *bodies) -> Finding:
    """A finding on some bodies."""
    levels = tuple(dict.fromkeys(one.level for one in bodies))
    return Finding(check, status, sentence, levels, tuple(one.index for one in bodies))
