"""What a reader's acts changed: the comparison before and after them, in sentences. Both as `comparison.json` holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from LongitudinalCompareLib.reading import Act

SHOWN = {"volume_ml": "volume", "longest_diameter_mm": "longest diameter", "short_axis_mm": "short axis"}
READER = "reader"
SAME = 1e-9
"""Relative: numbers that were written and read again."""


def changes_between(before: Mapping, after: Mapping) -> list[str]:
    """Sentences on lesions, then on categories, in the order of the tables; empty when nothing changed."""
    whens = [f"{one['date']} {one['time']}".rstrip() for one in after["timepoints"]]
    return [*_tracks(before["tracks"], after["tracks"], whens), *_categories(before, after, whens)]


def _tracks(before: list, after: list, whens: list[str]) -> Iterator[str]:
    earlier = {one["tracking_uid"]: one for one in before}
    for track in after:
        old = earlier.pop(track["tracking_uid"], None)
        if old is None:
            told = ", ".join(dict.fromkeys(one["status"] for one in track["measurements"]))
            yield f"{track['name']} is a lesion of its own ({track['role']}; {told})"
            continue
        for name in ("role", "organ", "node", "kind"):
            if old[name] != track[name]:
                yield f"{track['name']}: {name} {_word(track[name])}, was {_word(old[name])}"
        for was, now in zip(old["measurements"], track["measurements"]):
            yield from (f"{track['name']} at {whens[now['timepoint']]}: {text}" for text in _entries(was, now))
    yield from (f"{one['name']} is no lesion of its own any more" for one in earlier.values())


def _entries(was: Mapping, now: Mapping) -> Iterator[str]:
    if was["status"] != now["status"]:
        yield f"{now['status']}, was {was['status']}"
    elif was["lesions"] != now["lesions"]:
        yield f"it is {_names(now['lesions'])}, was {_names(was['lesions'])}"
    elif was["made_by"] != now["made_by"]:
        yield f"{now['status']}, {now['made_by']} and no longer {was['made_by']}"
    for name, title in SHOWN.items():
        told_already = was["status"] != now["status"] and now["source"] != READER
        if not told_already and not _same(was[name]["value"], now[name]["value"]):
            unit = now[name]["unit"]
            told = f"{title} {_amount(now[name]['value'], unit)} ({now['source']})"
            yield f"{told}, was {_amount(was[name]['value'], unit)} ({was['source']})"


def _categories(before: Mapping, after: Mapping, whens: list[str]) -> Iterator[str]:
    days = {one["day"]: when for one, when in zip(after["timepoints"], whens)}
    old = {_key(result, one): one for result in before["response"] for one in result["proposals"]}
    for result in after["response"]:
        problem = next((one["problem"] for one in before["response"] if one["criterion"] == result["criterion"]), "")
        if result["problem"] and result["problem"] != problem:
            yield f"{result['title']}: no answer any more: {result['problem']}"
        for now in result["proposals"]:
            was = old.get(_key(result, now))
            text = _told(was, now)
            if text:
                lesion = f" {now['lesion']}" if now.get("lesion") else ""
                yield f"{result['title']}{lesion} at {days.get(now['day'], now['day'])}: {text}"


def _told(was: Mapping | None, now: Mapping) -> str:
    """What became of a category; "" for nothing."""
    if was is None:
        return f"{_category(now)}. {now['sentence']}"
    if _category(was) == _category(now):
        return f"still {_category(now)}. {now['sentence']}" if was["sentence"] != now["sentence"] else ""
    why = f". {now['sentence']}" if was["sentence"] != now["sentence"] else ""
    return f"{_category(now)}, was {_category(was)}{why}"


def _key(result: Mapping, one: Mapping) -> tuple:
    return result["criterion"], one["day"], one.get("lesion", "")


def _category(one: Mapping) -> str:
    if not one["by"]:
        return f"{one['category']} ({one['state']})"
    other = f"; {one['category']} was proposed" if one["read_as"] != one["category"] else ""
    return f"{one['read_as']} (confirmed by {one['by']}{other})"


def _same(one: float | None, other: float | None) -> bool:
    return one is other or (None not in (one, other) and abs(one - other) <= SAME * max(abs(one), abs(other)))


def _amount(value: float | None, unit: str) -> str:
    return "not known" if value is None else f"{value:.3g} {unit}"


def _word(value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return repr(value) if value else "not known"


def _names(lesions: list) -> str:
    return " and ".join(map(repr, lesions)) or "without lesion"


def told(act: Act) -> str:
    """An act in a few words: "size of 'Lesion 1' of 2026-03-02: volume_ml 2.1, by Reader 1"."""
    earlier, later = (" and ".join(map(str, refs)) for refs in (act.earlier, act.later))
    lesions = f" of {' to '.join(filter(None, (earlier, later)))}" if earlier or later else ""
    date = f" at {act.date}" if act.date and all(one.date != act.date for one in act.later) else ""
    lines = {name for name in act.values if name.endswith("_line")}
    values = ", ".join(f"{name} {_value(value)}" for name, value in act.values.items() if name not in {"digest", "named", *lines})
    by_line = " by line" * bool(lines)
    return f"{act.kind}{lesions}{date}" + (f": {values}{by_line}" if values else "") + (f", by {act.by}" if act.by else "")


def _value(value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return " ".join(_value(one) for one in value.values())
    return f"({', '.join(map(_value, value))})" if isinstance(value, tuple) else str(value)
