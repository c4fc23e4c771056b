"""Change of a size between two dates: its interval, whether it is within measurement error, and how fast it grew.

Growth is the specific growth rate SGR = ln(V2/V1) / dt (Mehrara et al., Cancer Res 2007;67:3970-5): it is defined for any change,
and its errors are symmetric. The doubling time ln 2 / SGR is not defined at equal sizes, so it is told only where the interval of
SGR excludes zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from LongitudinalCompareLib.intervals import Component, half_width_ln, logs_of, spread_of
from LongitudinalCompareLib.repeatability import NONE_PUBLISHED
from LongitudinalCompareLib.uncertainty import (
    EXPERTS,
    READER,
    REPEATABILITY,
    Setting,
    Size,
    grid_part,
    rater_part,
    scan_part,
)
from OncoLib.errors import InputError

WITHIN, BEYOND, UNKNOWN = "within measurement error", "beyond measurement error", NONE_PUBLISHED
"""Answers. Without a published repeatability the known part of the error can only show that a change is within it: "beyond"
would take the missing part for nothing."""

ERROR_NOT_KNOWN = "error not known"
IN_WORDS = {BEYOND: BEYOND, WITHIN: WITHIN, UNKNOWN: ERROR_NOT_KNOWN}
IN_FULL = {BEYOND: BEYOND, WITHIN: WITHIN, UNKNOWN: f"{ERROR_NOT_KNOWN} ({UNKNOWN})"}
"""The answers as readers see them, where there is little room and where there is more; `UNKNOWN` itself is for programs."""


@dataclass(frozen=True)
class Change:
    """log: ln(V2/V1). half_width: of its interval. days: between both. components, left_out: as in `uncertainty.Interval`.

    complete: the repeatability of both dates went in.
    """

    log: float
    half_width: float
    days: float
    components: tuple[Component, ...]
    left_out: tuple[str, ...]
    complete: bool
    setting: Setting

    @property
    def percent(self) -> tuple[float, float, float]:
        """Change in percent of the earlier size: value, low, high."""
        return tuple(100 * float(np.expm1(self.log + sign * self.half_width)) for sign in (0, -1, 1))

    @property
    def limit_percent(self) -> tuple[float, float]:
        """What an unchanged lesion can seem to change by: low and high."""
        return 100 * float(np.expm1(-self.half_width)), 100 * float(np.expm1(self.half_width))

    @property
    def verdict(self) -> str:
        """`WITHIN`, `BEYOND` or `UNKNOWN`."""
        if abs(self.log) <= self.half_width:
            return WITHIN
        return BEYOND if self.complete else UNKNOWN

    @property
    def sentence(self) -> str:
        """The answer with the limit that was used."""
        low, high = (f"{one:+.0f}" if abs(one) >= 1 else f"{one:+.1f}" for one in self.limit_percent)
        limit = f"{100 * self.setting.confidence:g} % limits {low} to {high} %"
        change = f"{self.percent[0]:+.0f} %"
        if self.verdict != UNKNOWN:
            return f"{change} is {self.verdict} ({limit})"
        known = ", ".join(dict.fromkeys(one.name for one in self.components))
        return f"{change}: {IN_FULL[UNKNOWN]}; what is known ({known}) gives {limit}"

    @property
    def sgr_percent_per_day(self) -> tuple[float, float, float]:
        """Specific growth rate in percent a day: value, low, high."""
        return tuple(100 * (self.log + sign * self.half_width) / self.days for sign in (0, -1, 1))

    @property
    def doubling_days(self) -> tuple[float, float, float] | None:
        """Doubling time in days: value, low, high; of a shrinking lesion negative, the time to half. None unless the change is
        beyond measurement error."""
        if self.verdict != BEYOND:
            return None
        value, low, high = self.sgr_percent_per_day
        return tuple(100 * float(np.log(2)) / rate for rate in (value, high, low))


def change_of(earlier: Size, later: Size, days: float, setting: Setting) -> Change:
    """The change of a lesion; sizes of both dates are measured alike, each on its native grid.

    Raises InputError unless the later date is later.
    """
    if not (np.isfinite(days) and days > 0):
        raise InputError(f"the later date is {days:g} days after the earlier one; wanted more than 0")
    scans, unknown = scans_of(earlier, later, setting)
    raters, left_out = raters_of(earlier, later, setting)
    components = (*scans, *raters, grid_part(earlier, setting), grid_part(later, setting))
    half = half_width_ln(components, setting.confidence)
    missing = tuple(dict.fromkeys(unknown + left_out))
    return Change(later.log - earlier.log, half, float(days), components, missing, not unknown, setting)


def scans_of(earlier: Size, later: Size, setting: Setting) -> tuple[list[Component], list[str]]:
    """The repeatability of both dates. From one source it is one component with that source's degrees of freedom: if the
    published limits are too narrow, they are so at both dates."""
    (first, unknown), (second, more) = scan_part(earlier, setting), scan_part(later, setting)
    if first and second and first[0].source == second[0].source:
        sd = float(np.hypot(first[0].sd_ln, second[0].sd_ln))
        return [Component(REPEATABILITY, sd, f"both dates: {first[0].source}", first[0].degrees)], []
    return first + second, unknown + more


def raters_of(earlier: Size, later: Size, setting: Setting) -> tuple[list[Component], list[str]]:
    """Spread of the raters' own changes where two or more measured both dates: what a rater always does alike cancels. Else of
    each date by itself."""
    if earlier.readers or later.readers:
        both, name = _changes(earlier.readers, later.readers), READER
    else:
        both, name = _changes(earlier.experts, later.experts), EXPERTS
    if len(both) >= 2:
        sd, degrees = spread_of(both, setting.correlation)
        text = f"spread of the changes by {len(both)}, t with {len(both) - 1} degrees of freedom"
        return [Component(name, sd, f"{text}, errors correlated by {setting.correlation:g} (assumed)", degrees)], []
    parts = [rater_part(size, setting) for size in (earlier, later)]
    return [one for part, _ in parts for one in part], [text for _, missing in parts for text in missing]


def _changes(earlier: Mapping[str, float], later: Mapping[str, float]) -> list[float]:
    first, second = logs_of(earlier), logs_of(later)
    return [second[name] - first[name] for name in first if name in second]
