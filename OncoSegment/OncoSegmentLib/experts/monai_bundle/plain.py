"""A bundle's configuration without MONAI's parser: only what `allowed` lists is made, and everything is looked at first.

The rules of references, components and disabled ones are those of MONAI's `ConfigParser` (bundle/reference_resolver.py and
config_item.py of 1.6.1), less macros, relative ids, import statements and modes other than "default".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from OncoLib.errors import OncoError
from OncoSegmentLib.experts.monai_bundle import allowed
from OncoSegmentLib.experts.monai_bundle.expressions import (
    NotPlain,
    is_expression,
    parsed,
    reference_of,
    shown,
    worked_out,
)
from OncoSegmentLib.memory import out_of_memory

TARGET, DISABLED, DESCRIPTION, MODE, NEEDS = "_target_", "_disabled_", "_desc_", "_mode_", "_requires_"
OWN_KEYS = (TARGET, DISABLED, DESCRIPTION, MODE, NEEDS)
MACRO = "%"


class PlainConfig:
    """The entries of a configuration by id ("inferer", "preprocessing::transforms::0"), each made once.

    own: does `allowed.OWN_CALLS`.
    """

    def __init__(self, config: dict, own: Callable) -> None:
        self._config, self._own = config, own
        self._made: dict[str, object] = {}
        self._waiting: list[str] = []

    def check(self, entries: Iterable[str]) -> None:
        """NotPlain for the first thing in these entries, and in all that they refer to, that is not on the lists."""
        left, seen = list(entries), set()
        while left:
            entry = left.pop()
            if entry not in seen:
                seen.add(entry)
                left.extend(self._checked(self._at(entry)))

    def get(self, entry: str):
        """The object that an entry stands for; checked first. NotPlain, or whatever the component's class raises."""
        self.check([entry])
        return self._entry(entry)

    def _at(self, entry: str):
        """The part of the configuration with that id."""
        found = self._config
        for part in entry.split("::"):
            try:
                found = found[int(part)] if isinstance(found, list) else found[part]
            except (KeyError, IndexError, TypeError, ValueError):
                raise NotPlain(f"a reference to {shown(entry)}, which is not there") from None
        return found

    def _checked(self, value) -> list[str]:
        """The entries that a part refers to; nothing of a component that is switched off, which is never made."""
        if isinstance(value, str):
            return self._checked_text(value)
        if isinstance(value, dict):
            if disabled(value):
                return []
            if TARGET in value:
                self._check_component(value)
            return [one for part in value.values() for one in self._checked(part)]
        if isinstance(value, list):
            return [one for part in value for one in self._checked(part)]
        return []

    @staticmethod
    def _checked_text(value: str) -> list[str]:
        if value.startswith(MACRO):
            raise NotPlain(f"the macro {shown(value)}")
        if is_expression(value):
            return list(parsed(value)[1])
        if value.startswith("@") and not reference_of(value):
            raise NotPlain(f"the reference {shown(value)}")
        return [reference_of(value)] if reference_of(value) else []

    @staticmethod
    def _check_component(value: dict) -> None:
        target = value[TARGET]
        named = isinstance(target, str) and (allowed.place_of(target) is not None or target in allowed.OWN_CALLS)
        if not named:
            raise NotPlain(f"the class {shown(str(target))}")
        if value.get(MODE, "default") != "default":
            raise NotPlain(f"the mode {shown(str(value[MODE]))}")
        if not isinstance(value.get(DISABLED, False), (bool, str)):
            raise NotPlain("a component that is disabled by something else than a word")

    def _entry(self, entry: str):
        if entry in self._made:
            return self._made[entry]
        if entry in self._waiting:
            raise NotPlain(f"a reference of {shown(entry)} to itself")
        self._waiting.append(entry)
        try:
            self._made[entry] = self._value(self._at(entry), entry)
        finally:
            self._waiting.pop()
        return self._made[entry]

    def _value(self, value, entry: str):
        """What a part stands for; components and expressions in it are entries of their own, made once."""
        if isinstance(value, str):
            if is_expression(value):
                return worked_out(parsed(value)[0], self._entry, self._own)
            return self._entry(reference_of(value)) if reference_of(value) else value
        if isinstance(value, list):
            parts = [(f"{entry}::{at}", part) for at, part in enumerate(value)]
            return [self._inner(one, part) for one, part in parts if not disabled(part)]
        if isinstance(value, dict) and not disabled(value):
            parts = {key: (f"{entry}::{key}", part) for key, part in value.items() if not disabled(part)}
            made = {key: self._inner(one, part) for key, (one, part) in parts.items()}
            return self._component(value, made) if TARGET in value else made
        return None if isinstance(value, dict) else value

    def _inner(self, entry: str, part):
        own = is_expression(part) or (isinstance(part, dict) and TARGET in part)
        return self._entry(entry) if own else self._value(part, entry)

    def _component(self, value: dict, made: dict):
        arguments = {key: part for key, part in made.items() if key not in OWN_KEYS}
        target = value[TARGET]
        if target in allowed.OWN_CALLS:
            return self._own(target, [], arguments)
        try:
            return allowed.component(target)(**arguments)
        except Exception as error:
            if isinstance(error, OncoError) or out_of_memory(error):
                raise
            raise NotMade(f"{target.rpartition('.')[2]} ({type(error).__name__}: {shown(str(error))})") from error


class NotMade(ValueError):
    """A component whose class did not take its arguments."""


def disabled(value) -> bool:
    """True for a component that its configuration switches off."""
    if not isinstance(value, dict) or TARGET not in value:
        return False
    flag = value.get(DISABLED, False)
    return flag.casefold().strip() == "true" if isinstance(flag, str) else flag is True
