"""A file of edits to be filled in, since nobody writes one from nothing: what could be said, and nothing said yet.

Each act has `about`, which tells what the comparison says now and is not kept. A value that stays null is not said, and an act
of which nothing is said is left out (`edits_in`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from LongitudinalCompareLib.reading import Act, Reading, acts_in
from LongitudinalCompareLib.reading_fields import (
    CATEGORY,
    CONTEXT,
    FIELDS,
    FINDING,
    GONE,
    KINDS,
    LESION,
    LINK,
    MERGE,
    NEW,
    NEWNESS,
    OF_A_DATE,
    POINT,
    ROLE,
    SIZE,
    SPLIT,
)

ABOUT = "about"
HELP = (
    "Replace null by what you say and leave the rest: what is null is not said, and an act of which nothing is said is left out.",
    "A lesion is meant by its name at its date. Lengths in mm, volumes in ml, points as [R, A, S] in mm.",
    "Which lesion is which is said by acts as under 'examples': copy one into 'acts' and put in the lesions that you mean.",
    "Then: oncosegment confirm COMPARISON.json --edits THIS_FILE, and with --by NAME you put your name to all of it.",
)
BESIDE = ("act", "date", "by", "when", "criterion", ABOUT)
"""What says nothing by itself."""


def edits_in(values, manual: Collection[str] = ()) -> Reading:
    """The acts of a file of edits, those of which nothing is said left out. manual: as of `Reading.from_dict`.

    InputError with one sentence that names the act by its number in the file.
    """
    acts, names = acts_in(values, manual)
    said = [(number, one) for number, one in enumerate(acts, 1) if not is_blank(one)]
    return Reading(tuple(Act.from_dict(without_about(one), number, names) for number, one in said))


def is_blank(act) -> bool:
    """Everything that it could say, or the lesion that it is about, is null."""
    if not isinstance(act, Mapping) or act.get("act") not in KINDS:
        return False
    values = [name for name in act if name not in (*BESIDE, "lesion", "earlier", "later")]
    return (bool(values) and all(act[name] is None for name in values) and act["act"] != LESION) or act.get("lesion", "") is None


def without_about(act):
    """Without what was written for the eye."""
    return {name: one for name, one in act.items() if name != ABOUT} if isinstance(act, Mapping) else act


def template_of(comparison: Mapping) -> dict:
    """The file to be filled in. comparison: as `comparison.json` holds it."""
    whens = [f"{one['date']} {one['time']}".rstrip() for one in comparison["timepoints"]]
    acts = [act for track in comparison["tracks"] for act in of_track(track, whens)]
    acts.append({"act": LESION, ABOUT: "a lesion without mask: an effusion, bone, ...", "lesion": None, **nothing(LESION)})
    acts.append({"act": CONTEXT, ABOUT: "the patient", **nothing(CONTEXT, OF_A_DATE)})
    of_a_date = [name for name in FIELDS[CONTEXT] if name not in OF_A_DATE]
    acts += [{"act": CONTEXT, ABOUT: "this date", "date": when, **nothing(CONTEXT, of_a_date)} for when in whens[1:]]
    for result in comparison["response"]:
        acts += of_criterion(result, {one["day"]: when for one, when in zip(comparison["timepoints"], whens)})
    words = {f"{kind}.{name}": list(one.words) for kind, fields in FIELDS.items() for name, one in fields.items() if one.words}
    return {"help": list(HELP), "words": words, "examples": examples(comparison["tracks"], whens), "acts": acts}


def nothing(kind: str, without: Collection[str] = ()) -> dict:
    """Its values, none of them said; a length serves for those who have no line."""
    return {name: None for name in FIELDS[kind] if name not in without and not name.endswith("_line")}


def of_track(track: Mapping, whens: Sequence[str]) -> list[dict]:
    """Its role, and at each date its size or what is seen of it."""
    ref, seen = {"date": "", "lesion": track["name"]}, [entry for entry in track["measurements"] if entry["lesions"]]
    if seen:
        ref = {"date": whens[seen[0]["timepoint"]], "lesion": seen[0]["lesions"][0]}
    told = track["role_reason"] or track["role"]
    acts = [{"act": ROLE, ABOUT: f"{track['name']}: {told}", "lesion": ref, **nothing(ROLE)}]
    if track["role"] == "new":
        acts.append({"act": NEWNESS, ABOUT: f"{track['name']}: is it surely new and tumor?", "lesion": ref, **nothing(NEWNESS)})
    for entry in track["measurements"][seen[0]["timepoint"] if seen else 0 :]:
        when = whens[entry["timepoint"]]
        own = [{"date": when, "lesion": name} for name in entry["lesions"]] or [ref]
        told = f"{track['name']} at {when}: {told_of(entry)}"
        acts += [{"act": SIZE, ABOUT: told, "lesion": one, "date": when, **nothing(SIZE)} for one in own]
        if track["role"] == "non-target" and entry["timepoint"]:
            acts.append({"act": FINDING, ABOUT: told, "lesion": own[0], "date": when, **nothing(FINDING)})
    return acts


def told_of(entry: Mapping) -> str:
    """Status and numbers of an entry in a few words."""
    texts = {"volume_ml": "{:.3g} ml", "longest_diameter_mm": "{:.1f} mm", "short_axis_mm": "{:.1f} mm across"}
    numbers = [text.format(entry[name]["value"]) for name, text in texts.items() if entry[name]["value"] is not None]
    return ", ".join([entry["status"], *numbers])


def of_criterion(result: Mapping, whens: Mapping[int, str]) -> list[dict]:
    """The category of each date, where one is proposed for the whole patient."""
    return [
        {"act": CATEGORY, ABOUT: f"{result['title']}, {one['state']}: {one['category']}", "date": whens[one["day"]],
         "criterion": result["criterion"], "category": None}
        for one in result["proposals"] if not one.get("lesion")
    ]  # fmt: skip


def examples(tracks: Sequence[Mapping], whens: Sequence[str]) -> list[dict]:
    """Acts that say which lesion is which, with lesions of this comparison."""
    if len(whens) < 2:
        return []
    names = [[name for track in tracks for name in track["measurements"][at]["lesions"]] for at in (0, 1)]
    first, later = ([{"date": whens[at], "lesion": (names[at] * 2 + ["A", "B"])[number]} for number in (0, 1)] for at in (0, 1))
    return [
        {"act": LINK, ABOUT: "both are the same lesion", "earlier": first[0], "later": later[0]},
        {"act": NEW, ABOUT: "it was never seen before", "lesion": later[0]},
        {"act": GONE, ABOUT: "it is no longer there at that date", "lesion": first[0], "date": whens[1]},
        {"act": MERGE, ABOUT: "these became one", "earlier": first, "later": later[0]},
        {"act": SPLIT, ABOUT: "it became these", "earlier": first[0], "later": later},
        {"act": POINT, ABOUT: "it lies there at that date", "lesion": first[0], "date": whens[1], "point_ras_mm": [0, 0, 0]},
        {"act": SIZE, ABOUT: "measured by a line", "lesion": later[0], "date": whens[1], "longest_line": [[0, 0, 0], [10, 0, 0]]},
    ]


def template_text(template: Mapping) -> str:
    """As JSON that is easy to fill in: an act has a line for what is known of it, one for its lesion, one for its values."""
    parts = [f' {_json(name)}: {_listed(value)}' for name, value in template.items()]
    return "{\n" + ",\n".join(parts) + "\n}"


def _listed(value) -> str:
    if isinstance(value, Mapping):
        return "{\n" + ",\n".join(f"  {_json(name)}: {_json(one)}" for name, one in value.items()) + "\n }"
    return "[\n" + ",\n".join(f"  {_lines(one)}" for one in value) + "\n ]"


def _lines(act) -> str:
    if not isinstance(act, Mapping):
        return _json(act)
    groups = [("act", ABOUT), ("earlier", "later", "lesion", "date", "criterion")]
    groups.append(tuple(name for name in act if name not in (*groups[0], *groups[1])))
    told = (", ".join(f"{_json(name)}: {_json(act[name])}" for name in group if name in act) for group in groups)
    return "{" + ",\n   ".join(filter(None, told)) + "}"


def _json(value) -> str:
    return json.dumps(value, ensure_ascii=False)
