"""One answer of the doctor: what was looked at, how it is, and what repairs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

OK, WARN, FAIL, UNKNOWN = "ok", "warn", "fail", "unknown"
STATES = (FAIL, WARN, UNKNOWN, OK)
"""Worst first. warn: works, but not well or not for everything. fail: something that was asked for cannot work."""


@dataclass(frozen=True)
class Finding:
    """subject: two or three words. sentence: one. repair: a command or a step; "" when there is nothing to do.

    versions: version texts in the sentence, which would else look like addresses of a network to the support file.
    """

    subject: str
    state: str
    sentence: str
    repair: str = ""
    versions: tuple[str, ...] = ()

    def as_dict(self) -> dict:
        """JSON-ready."""
        return {"subject": self.subject, "state": self.state, "sentence": self.sentence, "repair": self.repair}


def worst(findings: Iterable[Finding]) -> str:
    """The worst state of all; ok when there is none."""
    states = {finding.state for finding in findings}
    return next((state for state in STATES if state in states), OK)
