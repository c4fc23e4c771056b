"""What a run leaves in the evaluation log. The one place where runs of the panel and of the command line are logged.

Only numbers, hashes, ids and codes are kept. Texts that a file or a user chose (names of segments, files, own profiles)
may name a patient and are not.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from OncoLib import audit
from OncoLib.errors import InputError, OncoError
from OncoLib.segmentation import Provenance, Segment, Segmentation
from OncoLib.terminology import ENTRY_PARTS
from OncoSegmentLib.evaluation import AGREEMENTS, StructureEvaluation
from OncoSegmentLib.evaluation_log import CORRECTED, EXPERT, INDEPENDENT, WAIT_S, Comparison, Run, add_run
from OncoSegmentLib.evaluation_pairs import structure_id

SETTING = "evaluation"
SHA256 = re.compile(r"[0-9a-f]{64}")
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+:-]{0,63}")
OTHER = "other"
LARGEST = 1e12
"""Seconds or MiB that nothing reaches."""

NUMBERS = (*AGREEMENTS, "volume_ml", "reference_ml", "volume_error_ml", "volume_error_percent")


def logging_on(settings: Path | None = None) -> bool:
    """False when the user's setting file says {"evaluation": {"log": false}}; InputError for a setting that is neither."""
    from ModelManagerLib.store_places import stored_settings

    found = stored_settings(settings).get(SETTING, {})
    wanted = found.get("log", True) if isinstance(found, dict) else None
    if not isinstance(wanted, bool):
        raise InputError("settings.json: the entry 'evaluation' is no table with log true or false; correct it or remove it")
    return wanted


def log_run(
    segmentation: Segmentation,
    *,
    agreement: float | None = None,
    path: Path | None = None,
    settings: Path | None = None,
    wait_s: float = WAIT_S,
) -> str:
    """Adds the run that made a segmentation to the log; "", or a sentence for the user when that failed. It never raises.

    agreement: 0..1 with the other experts of a panel. path: of the log; by default the user's. wait_s: for another program
    that writes. A mask that no run made, and a log that is turned off, are no failure.
    """

    def add() -> None:
        run = run_of(segmentation, agreement=agreement)
        if run is not None and logging_on(settings):
            add_run(run, path, wait_s=wait_s)

    reason = _failure(add)
    return f"This run is not in the evaluation log: {reason}." if reason else ""


def _failure(work: Callable[[], None]) -> str:
    """Why it failed. A log that cannot be kept, for whatever reason, takes no result from the user."""
    try:
        work()
    except OncoError as error:
        return str(error)
    except Exception as error:
        return f"unexpected {type(error).__name__}"
    return ""


def run_of(segmentation: Segmentation, *, agreement: float | None = None) -> Run | None:
    """The row of the run that made a segmentation, by its provenance; None for a mask that no run of an expert made."""
    facts = segmentation.provenance
    if not (SHA256.fullmatch(facts.input_sha256) and facts.started and facts.seconds is not None):
        return None
    return Run(
        run_key(facts),
        facts.input_sha256,
        plain(facts.model),
        plain(facts.model_version),
        facts.weights_sha256 if SHA256.fullmatch(facts.weights_sha256) else "",
        task_of(facts),
        plain(facts.device),
        plain(facts.started),
        number(facts.seconds),
        number(facts.peak_memory_mb),
        len(segmentation.segments),
        agreement,
    )


def number(value: object) -> float | None:
    """A number of at least 0; None for anything else that a file may hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LARGEST:
        return None
    return float(value)


def run_key(facts: Provenance) -> str:
    """SHA-256 of the provenance without later edits: the same for a run wherever its result was read from."""
    told = {**facts.as_dict(), "edits": []}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def plain(text: object) -> str:
    """The text when it looks like an id, a version or a time; "other" for anything that could be a name."""
    return text if isinstance(text, str) and PLAIN.fullmatch(text) else (OTHER if text else "")


def task_of(facts: Provenance) -> str:
    """What the model was asked for: its task with the speed, or a built-in profile; profiles of a user's own are "other"."""
    task, speed, profile = (facts.parameters.get(name) for name in ("task", "speed", "profile"))
    if task:
        return plain(task) if not speed or speed == "normal" else f"{plain(task)} {plain(speed)}"
    if not profile:
        return ""
    from OncoSegmentLib.profiles import builtin_folder

    return plain(profile) if plain(profile) != OTHER and (builtin_folder() / f"{profile}.json").is_file() else OTHER


def structure_text(segment: Segment) -> str:
    """Id of the structure in our terminology, else its codes, else the label: never a name."""
    known = structure_id(segment)
    if known:
        return plain(known)
    codes = [getattr(segment.entry, name) for name in ENTRY_PARTS[1:]]
    text = " ".join(f"{code.scheme}:{code.value}" for code in codes if code is not None)
    return text if all(PLAIN.fullmatch(part) for part in text.split()) else OTHER


def log_evaluation(
    result: Segmentation,
    reference: Segmentation,
    found: Sequence[StructureEvaluation],
    reference_sha256: str,
    *,
    corrected: bool = False,
    path: Path | None = None,
    settings: Path | None = None,
    now=audit.now_iso,
) -> str:
    """Adds an evaluation to the run that made the result, and that run when it is not there.

    corrected: the reference is this result as a reader corrected it. Returns why nothing was added, "" when it was.
    """

    def add() -> None:
        run = run_of(result)
        if run is None:
            raise InputError("the result holds no provenance of a run")
        if result.provenance.edits:
            raise InputError("the result was edited by hand since its run")
        if not logging_on(settings):
            raise InputError("the log is turned off in settings.json")
        kind = CORRECTED if corrected else kind_of(run, result, reference)
        add_run(run, path, comparisons=comparisons_of(result, found, run.run, kind, reference_sha256, now()))

    return _failure(add)


def kind_of(run: Run, result: Segmentation, reference: Segmentation) -> str:
    """What a reference is, by its own provenance; InputError when it is the result itself, which says nothing."""
    other = run_of(reference)
    if other is None:
        return INDEPENDENT
    if other.run != run.run:
        return EXPERT
    same = len(result.layers) == len(reference.layers)
    if same and all(np.array_equal(one, two) for one, two in zip(result.layers, reference.layers)):
        raise InputError("the reference is the result itself (--corrected says that a reader accepted it as it is)")
    return CORRECTED


def comparisons_of(
    segmentation: Segmentation, found: Sequence[StructureEvaluation], run: str, kind: str, reference: str, compared: str
) -> tuple[Comparison, ...]:
    """The rows of an evaluation; numbers that are not defined are None."""
    rows = []
    for number, one in enumerate(found):
        place = -1 - number if one.result is None else segmentation.segments.index(one.result)
        numbers = {name: one.measurements[name].value for name in NUMBERS}
        defined = {name: value if math.isfinite(value) else None for name, value in numbers.items()}
        counts = one.lesions
        lesions = (counts.reference, counts.result, len(counts.pairs)) if counts else (None, None, None)
        names = ("lesions_reference", "lesions_result", "lesions_found")
        known = structure_text(one.segment)
        row = Comparison(
            run, kind, reference, known, place, one.status, **defined, **dict(zip(names, lesions)), compared=compared
        )
        rows.append(row)
    return tuple(rows)
