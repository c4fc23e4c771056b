"""Organ profiles: what the `thresholds` expert looks for, as data. A new organ needs a file, no code.

Built-in profiles are JSON files in `Resources/Profiles`; a user's own (JSON or YAML) lie in a folder of theirs.
The format is documented in `Resources/Documentation/profiles.md` and enforced by `profile_reading`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from OncoLib.errors import InputError
from OncoLib.resources import resource_path
from OncoLib.terminology import Structure

SUFFIXES = (".json", ".yaml", ".yml")


@dataclass(frozen=True)
class Step:
    """One operation on a mask: `op` with its numbers; the meaning of each op is in `experts/steps.py`."""

    op: str
    values: dict

    def as_dict(self) -> dict:
        """JSON-ready copy, as in the file."""
        return {"op": self.op, **self.values}


@dataclass(frozen=True)
class Rule:
    """One structure of a profile.

    low, high: inclusive range of voxel values. alone: the range itself identifies the structure, so that it
    carries its code without a region of interest. kind: the word used while it may not ("tissue", "vessels").
    """

    structure: Structure
    low: float
    high: float
    alone: bool
    kind: str
    steps: tuple[Step, ...]
    note: str = ""


@dataclass(frozen=True)
class Profile:
    """One organ profile; `body_above` is the value over which a voxel counts as body, None for no body mask."""

    id: str
    title: str
    modality: str
    units: str
    description: str
    rules: tuple[Rule, ...]
    body_above: float | None
    body_steps: tuple[Step, ...]
    note: str
    path: Path
    builtin: bool

    @property
    def needs_region(self) -> bool:
        """True when no structure of this profile may carry its code without a region of interest."""
        return not any(rule.alone for rule in self.rules)


def builtin_folder() -> Path:
    """Folder of the profiles that come with OncoSegment."""
    return resource_path(__file__, "Profiles")


def user_folder(environment=os.environ) -> Path:
    """Folder of the user's own profiles: `ONCOSEGMENT_PROFILES`, else `.oncosegment/profiles` in the home folder."""
    return Path(environment.get("ONCOSEGMENT_PROFILES") or Path.home() / ".oncosegment" / "profiles")


def profile_files(folder: Path) -> list[Path]:
    """Profile files in a folder in alphabetical order; none when the folder is not there."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.name[0] != ".")


def all_profiles(users: Path | None = None) -> dict[str, Profile]:
    """Every profile by id, built-in ones first. Raises InputError for a broken file or an id that is taken."""
    profiles, problems = usable_profiles(users)
    if problems:
        raise InputError(problems[0])
    return profiles


def usable_profiles(users: Path | None = None) -> tuple[dict[str, Profile], list[str]]:
    """Every profile that can be used, by id, and what is wrong with the files of the others."""
    from OncoSegmentLib.profile_reading import read_profile

    profiles: dict[str, Profile] = {}
    problems: list[str] = []
    for folder in (builtin_folder(), users or user_folder()):
        for path in profile_files(folder):
            try:
                profile = read_profile(path)
            except InputError as error:
                problems.append(str(error))
                continue
            if profile.id in profiles:
                taken = profiles[profile.id].path.name
                problems.append(f"{path.name}: the profile id {profile.id!r} is taken by {taken}; choose another id")
            else:
                profiles[profile.id] = profile
    return profiles, problems


def find_profile(name: str, users: Path | None = None) -> Profile:
    """The profile of that id, or in that file when `name` is a path. Raises InputError naming those there are.

    A broken file of the user's does not keep a built-in profile from being used.
    """
    from OncoSegmentLib.profile_reading import read_profile

    builtin = builtin_folder() / f"{name}.json"
    if builtin.is_file() and builtin.parent == builtin_folder():
        return read_profile(builtin)
    if Path(name).suffix.lower() in SUFFIXES:
        return read_profile(Path(name))
    profiles = all_profiles(users)
    if name not in profiles:
        raise InputError(f"no profile {name!r}; there are {', '.join(profiles)}")
    return profiles[name]
