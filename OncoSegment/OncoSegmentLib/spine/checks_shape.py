"""Checks of each vertebra's shape: volumes, one body with one label, size and HU."""

from __future__ import annotations

from OncoSegmentLib.spine.findings import (
    LEAST_MEAN_HU,
    LEAST_RATIO,
    LEAST_VOLUME_ML,
    MOST_CONTACT,
    MOST_DENSE_SHARE,
    MOST_IN_PIECES,
    MOST_MEAN_HU,
    MOST_RATIO,
    MOST_VOLUME_RATIO,
    PIECES_FAIL,
    THICK_MM,
    Finding,
    about,
)
from OncoSegmentLib.spine.ordered import ODD, Ordered

LEAST_FOR_TREND = 5


def volume(found: Ordered) -> list[Finding]:
    """4: volumes change little from one vertebra to the next, and grow downwards."""
    problems, told = [], set()
    for at, body in enumerate(found.bodies):
        expected = found.expected_volume_ml(at)
        if expected is None or body.cut or body.level in ODD:
            continue
        ratio = body.volume_ml / expected
        if ratio >= MOST_VOLUME_RATIO:
            sentence = f"{body.level} has {ratio:.1f} times the volume of its surroundings: it may hold two vertebrae."
            problems.append(about("volume", "fail", sentence, body))
            told.add(body.index)
    for above, below in zip(found.bodies, found.bodies[1:]):
        if any(one.cut or one.level in ODD or one.index in told for one in (above, below)):
            continue
        ratio = below.volume_ml / above.volume_ml
        if not LEAST_RATIO <= ratio <= MOST_RATIO:
            sentence = f"{below.level} has {ratio:.2f} times the volume of {above.level} above it."
            problems.append(about("volume", "warn", sentence, above, below))
    return problems or trend(found)


def trend(found: Ordered) -> list[Finding]:
    """Volumes that shrink from head to feet: Spearman's rank correlation below 0."""
    from scipy.stats import spearmanr

    whole = [one.volume_ml for one in found.bodies if not one.cut and one.level not in ODD]
    if len(whole) < LEAST_FOR_TREND or spearmanr(range(len(whole)), whole).statistic >= 0:
        return []
    return [Finding("volume", "warn", "The volumes shrink towards the sacrum: the column may be upside down.")]


def pieces(found: Ordered) -> list[Finding]:
    """5: one body has one label, and one label is one body."""
    problems = []
    for body in found.bodies:
        beside = 1 - body.shares[0]
        if beside > MOST_IN_PIECES:
            status = "fail" if beside > PIECES_FAIL else "warn"
            sentence = f"{body.level} is in {len(body.shares)} pieces, {beside:.0%} of it beside the largest."
            problems.append(about("pieces", status, sentence, body))
    for first in range(len(found.bodies)):
        for second in range(first + 1, len(found.bodies)):
            problems += shared(found, first, second)
    return problems


def shared(found: Ordered, first: int, second: int) -> list[Finding]:
    """Two labels whose common face is larger than joints are."""
    one, other = found.bodies[first], found.bodies[second]
    area = one.touching.get(other.index, 0.0)
    expected = found.expected_volume_ml(first, second) or one.volume_ml + other.volume_ml
    if area <= MOST_CONTACT * (expected * 1000) ** (2 / 3):
        return []
    told = f"{one.level} and {other.level} share a face of {area / 100:.0f} cm2: one vertebra may carry both labels"
    if found.column.coarsest_mm >= THICK_MM and second == first + 1:
        told += f", or slices of {found.column.coarsest_mm:g} mm do not show the disc between them"
        return [about("pieces", "warn", f"{told}.", one, other)]
    return [about("pieces", "fail", f"{told}.", one, other)]


def values(found) -> list[Finding]:
    """11: no vertebra is a crumb, air, fat or metal. found: anything with `bodies`."""
    problems = []
    for body in found.bodies:
        if body.volume_ml < LEAST_VOLUME_ML and not body.cut:
            problems.append(
                about("values", "warn", f"{body.level} has {body.volume_ml:.1f} ml: too little for a vertebra.", body)
            )
        if body.mean_hu is None:
            continue
        if body.mean_hu < LEAST_MEAN_HU:
            problems.append(about("values", "fail", f"{body.level} has a mean of {body.mean_hu:.0f} HU: that is no bone.", body))
        elif body.dense_share > MOST_DENSE_SHARE:
            told = f"{body.level} holds metal: {body.dense_share:.0%} of it is above 2000 HU."
            problems.append(about("values", "warn", told, body))
        elif body.mean_hu > MOST_MEAN_HU:
            told = f"{body.level} has a mean of {body.mean_hu:.0f} HU: cement, an implant or sclerosis."
            problems.append(about("values", "warn", told, body))
    return problems
