"""How `panel` and `fuse` end: the work with its bar and Cancel, then tables, notes and files, or all of it as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

from OncoLib.segmentation_files import RESEARCH_USE

AGREEMENT = "agreement.json"

EXPERT_COLUMNS = {
    "dice": ("Dice", 3),
    "nsd_1mm": ("NSD 1 mm", 3),
    "nsd_2mm": ("NSD 2 mm", 3),
    "volume_difference_percent": ("Volume %", 1),
    "centroid_mm": ("Centroid mm", 2),
}
"""Heading and decimals of the experts' table."""


def printed(options, work: Callable[..., tuple[dict, list[Path]]], opinions: Callable[[dict], Iterable[str]]) -> int:
    """Does `work(options, progress, cancel)`, which gives a description and the files that were written, and prints them.

    opinions: one line for each opinion of the description.
    """
    from OncoAppLib.terminal import ProgressBar
    from OncoAppLib.verbs import cancel_on_signals

    bar = ProgressBar(quiet=options.json)
    try:
        told, files = work(options, bar, cancel_on_signals(quiet=options.json))
    finally:
        bar.close()
    if options.json:
        print(json.dumps({**told, "files": [str(path) for path in files]}, allow_nan=False))
        return 0
    agreement = told["agreement"]
    print(agreement_table(agreement))
    if any(one["experts"] for one in agreement["structures"]):
        print("\n" + expert_table(agreement))
    for line in opinions(told):
        print(line)
    for note in [*agreement["notes"], *filter(None, [told.get("not_logged")])]:
        print(f"Note: {note}")
    print("Written: " + "\n         ".join(str(path) for path in files))
    print(RESEARCH_USE)
    return 0


def agreement_table(agreement: dict) -> str:
    """Structures down: the band, who found it, the mean Dice of pairs, each expert's Dice with the consensus."""
    from OncoAppLib.terminal import text_table

    experts = agreement["experts"]
    rows, notes = [], []
    for one in agreement["structures"]:
        dice = [number_text(one["experts"].get(name, {}).get("dice"), 3) for name in experts]
        found = f"{len(one['found_by'])} of {one['asked']}"
        rows.append([one["name"], one["agreement"], found, number_text(one["mean_pairwise_dice"], 3), *dice])
        notes.append([] if one["in_consensus"] or not one["found_by"] else ["not in the consensus"])
    for one in agreement["candidates"]:
        rows.append([one["name"], "candidate", f"{len(one['found_by'])} of {len(experts)}", "-", *["-"] * len(experts)])
        notes.append([f"{one['volume_ml']:.3g} ml, seen by {', '.join(one['found_by'])}; not in the consensus"])
    heads = ["Agreement", "Band", "Found", "Pairs", *(f"Dice {number}" for number in range(1, len(experts) + 1))]
    told = "Pairs: mean Dice of all pairs; Dice 1 ...: of each with the consensus. Agreement is not correctness."
    return f"{text_table(heads, rows, notes)}\n{told}"


def expert_table(agreement: dict) -> str:
    """Experts down: medians over the structures that both the expert and the consensus have."""
    from OncoAppLib.terminal import text_table

    rows = []
    for name in agreement["experts"]:
        own = [one["experts"][name] for one in agreement["structures"] if name in one["experts"]]
        both = [one for one in own if one["centroid_mm"] is not None]
        medians = [number_text(median(one[key] for one in both), digits) for key, (_, digits) in EXPERT_COLUMNS.items()]
        rows.append([name, str(len(both)), *medians])
    heads = [head for head, _ in EXPERT_COLUMNS.values()]
    table = text_table(["Median beside the consensus", "Structures", *heads], rows)
    return f"{table}\nAll numbers of each structure are in {AGREEMENT}."


def median(values) -> float | None:
    """The median; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return None
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def number_text(value: float | None, digits: int) -> str:
    """One cell: "-" for what is not defined."""
    return "-" if value is None else f"{value:.{digits}f}"
