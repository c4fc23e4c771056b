"""Writes OncoSegment.term.json and OncoSegment.region.json from structures.json, after checking every code.

    python Testing/tools/make_terminology.py                 check codes, write both files
    python Testing/tools/make_terminology.py --check         write nothing; exit 1 when one is wrong or stale
    python Testing/tools/make_terminology.py --slicer-lists FOLDER   also hold codes and colors against Slicer's lists

Codes are held against DICOM's code dictionary as pydicom ships it. FOLDER is Slicer's source folder
Modules/Loadable/Terminologies/Resources.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[2] / "OncoSegment"
sys.path.insert(0, str(PACKAGES))

from OncoLib.errors import OncoError  # noqa: E402
from OncoLib.terminology import Structure, read_structures  # noqa: E402
from OncoLib.terminology_files import context_text, region_json, term_json, write_context  # noqa: E402

RESOURCES = PACKAGES / "OncoLib" / "Resources" / "Terminology"

SLICER_LISTS = {
    "slicer_general": "SegmentationCategoryTypeModifier-SlicerGeneralAnatomy.json",
    "slicer_master": "SegmentationCategoryTypeModifier-DICOM-Master.json",
}


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 when all is right (and written), 1 otherwise; each problem is one line on stderr."""
    options = parsed(arguments)
    try:
        table = json.loads((options.resources / "structures.json").read_text(encoding="utf-8"))
        rows = read_structures(options.resources / "structures.json")
        problems = code_problems(table)
        if options.slicer_lists:
            problems += slicer_problems(table, options.slicer_lists)
        if not problems:
            problems += stale_files(rows, options.resources) if options.check else write_files(rows, options.resources)
    except (OncoError, OSError, ValueError) as cause:
        problems = [str(cause)]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(description="Write the terminology files of OncoSegment from structures.json.")
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 when something is wrong or stale")
    parser.add_argument("--resources", type=Path, default=RESOURCES, help="folder of structures.json")
    parser.add_argument("--slicer-lists", type=Path, help="folder of Slicer's terminology lists")
    return parser.parse_args(arguments)


def dicom_codes() -> dict[tuple[str, str], set[str]]:
    """Every code of pydicom's dictionary: (scheme, value) -> its meanings, one for each keyword."""
    from pydicom.sr._concepts_dict import concepts

    codes: dict[tuple[str, str], set[str]] = {}
    for scheme, keywords in concepts.items():
        for by_value in keywords.values():
            for value, (meaning, _) in by_value.items():
                codes.setdefault((scheme, value), set()).add(meaning)
    return codes


def code_problems(table: dict) -> list[str]:
    """One sentence for each code that its stated source does not bear out, or that nothing uses."""
    known = dicom_codes()
    values_of: dict[str, set[str]] = {}
    for (_, value), meanings in known.items():
        for meaning in meanings:
            values_of.setdefault(meaning.casefold(), set()).add(value)
    used = {row[part] for row in table["structures"] for part in ("category", "type", "region") if part in row}
    problems = [f"code {name!r} is used by no structure" for name in table["codes"].keys() - used - {"right", "left"}]
    for name, code in table["codes"].items():
        problem = code_problem(code, known.get((code["scheme"], code["value"]), set()), values_of)
        problems += [f"code {name!r} ({code['scheme']} {code['value']}): {problem}"] if problem else []
    return sorted(problems)


def code_problem(code: dict, meanings: set[str], values_of: dict[str, set[str]]) -> str | None:
    """What is wrong with one code, or None. `meanings`: what pydicom calls it, empty when it does not know it."""
    agrees = code["meaning"] in meanings
    others = values_of.get(code["meaning"].casefold(), set()) - {code["value"]}
    if code["source"] == "pydicom" and not agrees:
        return f"pydicom does not call it {code['meaning']!r} but {sorted(meanings) or 'does not know it'}"
    if code["source"] != "pydicom" and agrees:
        return "pydicom knows it; wanted source pydicom"
    if not agrees and others and not code.get("accepted_mismatch"):
        return f"pydicom gives {sorted(others)} for {code['meaning']!r}; wanted that code or a stated accepted_mismatch"
    if code.get("accepted_mismatch") and (agrees or not others):
        return "has an accepted_mismatch, but pydicom gives no other code"
    if code["scheme"] == "SCT" and not is_sctid(code["value"]):
        return "no SNOMED CT identifier: wrong length or check digit"
    return None


def is_sctid(value: str) -> bool:
    """True for 6 to 18 digits of which the last is Verhoeff's check digit, as every SNOMED CT identifier ends.

    The check finds any single wrong digit and any swap of neighbors: J. Verhoeff's scheme in the dihedral group D5.
    """
    if not (value.isascii() and value.isdigit() and 6 <= len(value) <= 18):
        return False
    check, order = 0, tuple(range(10))
    for digit in reversed(value):
        check = product(check, order[int(digit)])
        order = tuple(order[position] for position in PERMUTATION)
    return check == 0


PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
"""Where Verhoeff's scheme moves a digit, once for each place from the right."""


def product(first: int, second: int) -> int:
    """Product in D5: 0..4 are the turns of a pentagon, 5..9 its reflections."""
    turns = first % 5 + (second if first < 5 else -second)
    return turns % 5 + 5 * ((first < 5) != (second < 5))


def slicer_problems(table: dict, folder: Path) -> list[str]:
    """One sentence for each structure whose color is said to be Slicer's but is not in Slicer's list."""
    colors = {source: slicer_colors(folder / name) for source, name in SLICER_LISTS.items()}
    problems = []
    for row in table["structures"]:
        if row["color_source"] in colors:
            category, kind = (table["codes"][row[part]]["value"] for part in ("category", "type"))
            found = colors[row["color_source"]].get((category, kind), [])
            if row["color"] not in found:
                problems.append(f"structure {row['id']!r} has color {row['color']}; Slicer's list has {found}")
    return problems


def slicer_colors(path: Path) -> dict[tuple[str, str], list[list[int]]]:
    """(category value, type value) -> colors of the type and of its modifiers in one of Slicer's lists."""
    colors: dict[tuple[str, str], list[list[int]]] = {}
    for category in json.loads(path.read_text(encoding="utf-8"))["SegmentationCodes"]["Category"]:
        for kind in category["Type"]:
            found = colors.setdefault((category["CodeValue"], kind["CodeValue"]), [])
            for values in (kind, *kind.get("Modifier", ())):
                found += [values["recommendedDisplayRGBValue"]] if "recommendedDisplayRGBValue" in values else []
    return colors


def contents(rows: tuple[Structure, ...]) -> dict[str, dict]:
    """File name -> content of the two generated files."""
    return {"OncoSegment.term.json": term_json(rows), "OncoSegment.region.json": region_json(rows)}


def stale_files(rows: tuple[Structure, ...], folder: Path) -> list[str]:
    """One sentence for each generated file that is absent or not what would be written now."""
    stale = []
    for name, content in contents(rows).items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != context_text(content).encode("utf-8"):
            stale.append(f"{name} is stale; run Testing/tools/make_terminology.py")
    return stale


def write_files(rows: tuple[Structure, ...], folder: Path) -> list[str]:
    """Writes both files; no problem to report."""
    for name, content in contents(rows).items():
        write_context(folder / name, content)
    return []


if __name__ == "__main__":
    sys.exit(main())
