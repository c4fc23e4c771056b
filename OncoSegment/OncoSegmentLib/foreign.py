"""Models that could run any program: what a user is told of one, and what was confirmed in this session.

The command takes `--confirm SHA256`; the panel shows the same hash and confirms exactly it. Nothing of this is saved with a
scene: a scene comes from others, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from OncoLib.errors import ForeignModel, OncoError
from OncoSegmentLib.goals import MONAI, NNUNET, model_of_request, problem_of, request_of

COULD = (
    "could run any program of its publisher's with your rights: read, change or send your files. It runs in a process of its own,"
    " which keeps it out of Slicer's memory and of nothing else"
)


@dataclass(frozen=True)
class Look:
    """Why a goal cannot run, in one sentence ("": it can), and the foreign model behind it (None: its own names only)."""

    problem: str
    foreign: ForeignModel | None = None
    confirmed: bool = False


def notice_of(foreign: ForeignModel) -> str:
    """What a user reads before a confirmation: which folder, what it could do, and the hash that is confirmed."""
    sentences = f"{foreign.name} {COULD}. Confirm it only when you know where it comes from."
    return f"{sentences}\nSHA-256 of {foreign.what}: {in_groups(foreign.sha256)}"


def in_groups(sha256: str) -> str:
    """Eight letters and digits at a time, to compare by eye and to break lines between."""
    return " ".join(sha256[at : at + 8] for at in range(0, len(sha256), 8))


def told_options(request) -> str:
    """What of a request is not a model's usual way, for a list: "bfloat16, confirmed 1a2b3c4d"."""
    precision, confirm = request.parameters.get("precision", ""), request.parameters.get("confirm", "")
    told = [precision if precision != "full" else "", f"confirmed {confirm[:8]}" if confirm else ""]
    return ", ".join(one for one in told if one)


def foreign_of(goal_id: str) -> ForeignModel | None:
    """The model of a goal when it must be confirmed before it runs."""
    if goal_id.startswith((NNUNET, MONAI)):
        try:
            model_of_request(request_of(goal_id))
        except ForeignModel as error:
            return error
        except OncoError:
            return None
    return None


class Confirmations:
    """What the user confirmed in this session, by goal: one hash each."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}

    def confirm(self, goal_id: str, sha256: str) -> None:
        """The user read the notice with this hash and confirmed it."""
        self._given[goal_id] = sha256

    def take_back(self, goal_id: str) -> None:
        """The user does not confirm it any more."""
        self._given.pop(goal_id, None)

    def of(self, goal_id: str) -> str:
        """The hash that was confirmed, "" for none."""
        return self._given.get(goal_id, "")

    def look(self, goal_id: str, *, speed: str = "normal", structures: Sequence[str] = ()) -> Look:
        """What stands in the way of a goal now. Files that changed since they were confirmed are not confirmed any more."""
        foreign, given = foreign_of(goal_id), self.of(goal_id)
        if foreign is None:
            return Look(problem_of(goal_id, speed=speed, structures=structures))
        if given == foreign.sha256:
            return Look(problem_of(goal_id, speed=speed, structures=structures, confirm=given), foreign, True)
        self.take_back(goal_id)
        changed = "changed since it was confirmed and " if given else ""
        return Look(f"{foreign.name} {changed}could run any program: confirm it first, or choose another", foreign)
