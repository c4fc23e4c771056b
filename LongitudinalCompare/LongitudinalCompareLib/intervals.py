"""Intervals on the log scale from components of different kind: the one place where they are combined.

Standard deviations of the log add as squares. Some are known from few patients or few experts: the width is that of Student's t
with the effective degrees of freedom of Welch and Satterthwaite (JCGM 100:2008, "GUM", G.4),

    nu = (sum of u_i^2)^2 / sum of (u_i^4 / nu_i).

On the log scale the limits are asymmetric: +25 % and -20 % are the same factor up and down.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from OncoLib.errors import InputError

CONFIDENCE = 0.95

RATER_CORRELATION = 0.5
"""How alike the errors of experts, or of readers, are taken to be. Our choice: it cannot be seen in their spread, because what
they share does not spread, and models that learned from the same scans share much. 0 would take them for strangers."""


@dataclass(frozen=True)
class Component:
    """One source of error. sd_ln: standard deviation of the log. degrees: of freedom. source: where the number is from."""

    name: str
    sd_ln: float
    source: str
    degrees: float = float("inf")

    def as_dict(self) -> dict:
        """JSON-ready; degrees are None where they are infinite."""
        degrees = self.degrees if np.isfinite(self.degrees) else None
        return {"name": self.name, "sd_ln": self.sd_ln, "source": self.source, "degrees": degrees}


def half_width_ln(components: Sequence[Component], confidence: float = CONFIDENCE) -> float:
    """Half the width of the interval on the log scale; 0 without components."""
    squares = np.array([one.sd_ln for one in components], dtype=float) ** 2
    total = float(squares.sum())
    if total <= 0:
        return 0.0
    spread = float((squares**2 / np.array([one.degrees for one in components])).sum())
    degrees = total**2 / spread if spread > 0 else float("inf")
    quantile = float(stdtrit(min(degrees, 1e9), 0.5 + confidence / 2))
    return quantile * float(np.sqrt(total))


def spread_of(values: Sequence[float], correlation: float = RATER_CORRELATION) -> tuple[float, float]:
    """Standard deviation of the error of the mean of `values`, and its degrees of freedom, n - 1.

    The values are logs of n >= 2 raters whose errors have the correlation r. Their sample variance s2 is on average
    sigma2 (1 - r), the variance of their mean is sigma2 (r + (1 - r) / n); so the latter is s2 (1 / n + r / (1 - r)). With r = 0
    that is the standard error of the mean.
    """
    count = len(values)
    if count < 2 or not 0 <= correlation < 1:
        raise InputError(f"a spread of {count} values at correlation {correlation:g}; wanted two or more, and 0 up to below 1")
    return float(np.std(values, ddof=1) * np.sqrt(1 / count + correlation / (1 - correlation))), count - 1.0


def logs_of(values: Mapping[str, float]) -> dict[str, float]:
    """Logs by name; InputError for what has none."""
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} measured {value:g}; wanted more than 0")
    return {name: float(np.log(value)) for name, value in values.items()}
