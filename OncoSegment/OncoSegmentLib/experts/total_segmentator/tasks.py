"""What TotalSegmentator's tasks are and which weights each needs, asked of the installed package (without torch).

Sources: `totalsegmentator.registry` (names, modality, classes, licence flag), `map_tasks_config` (weights, trainers,
crop models, speeds) and, for which part or crop model a request loads, `python_api.totalsegmentator` of version 2.18.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ModelManagerLib.search_words import words_for
from OncoLib.errors import InputError, ModelError

SPEEDS = ("normal", "fast", "fastest")
"""As the package's options: full resolution, `--fast`, `--fastest`."""

INTERNAL = ("test", "total_highres_test")
"""Tasks for the package's own development: can be run by name, are not offered."""

TASKS_WITH_SUBSET = "total"
"""Only tasks whose name starts so take the package's `roi_subset`; of others, structures are picked afterwards."""


@dataclass(frozen=True)
class Weights:
    """One trained network of TotalSegmentator. folds: None means all that are there."""

    id: int | str
    folder: str
    trainer: str
    plans: str
    configuration: str
    folds: tuple[int, ...] | None

    @property
    def model_folder(self) -> str:
        """nnU-Net's name for trainer, plans and configuration."""
        return f"{self.trainer}__{self.plans}__{self.configuration}"


@dataclass(frozen=True)
class Task:
    """One task. labels: value in the label map to the package's name. licensed: it needs a license number."""

    id: str
    modality: str
    licensed: bool
    labels: dict[int, str]
    speeds: tuple[str, ...]

    @property
    def takes_subset(self) -> bool:
        """True when a choice of structures saves work, not only segments."""
        return self.id.startswith(TASKS_WITH_SUBSET)


@lru_cache(maxsize=1)
def tasks() -> dict[str, Task]:
    """All tasks in the package's order; ModelError when the package is missing."""
    try:
        from totalsegmentator.map_tasks_config import TASK_CONFIGS
        from totalsegmentator.registry import TASKS, get_task_classes, requires_license, task_modality
    except ImportError as error:
        raise ModelError(
            "the model 'totalsegmentator' needs the package TotalSegmentator 2.18 or later, which is not installed;"
            ' in a clone of OncoSegment: pip install ".[ai]"'
        ) from error
    return {
        name: Task(
            name,
            task_modality(name),
            requires_license(name),
            {int(value): str(label) for value, label in get_task_classes(name).items()},
            speeds_of(TASK_CONFIGS.get(name, {})),
        )
        for name in TASKS
    }


def speeds_of(config: dict) -> tuple[str, ...]:
    """The speeds that a task has models for."""
    modes = config.get("sub_modes", {})
    return ("normal", *(speed for speed in SPEEDS[1:] if speed in modes))


def task(name: str) -> Task:
    """The task of that name; InputError with close names otherwise."""
    import difflib

    known = tasks()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3)
        hint = f"close: {', '.join(close)}" if close else "`oncosegment models tasks` lists them"
        raise InputError(f"TotalSegmentator has no task {name!r}; {hint}")
    return known[name]


def find_tasks(words: str, modality: str = "") -> tuple[Task, ...]:
    """Tasks in whose name or structures every word is found; those named so come first. All for an empty text.

    A word need only be the beginning of one: "vertebra l1" finds "vertebrae_L1", "lesion" finds "liver_lesions".
    """
    wanted = words.casefold().replace("_", " ").split()
    suited = [one for one in tasks().values() if (not modality or one.modality == modality) and one.id not in INTERNAL]
    named = [one for one in suited if matches(wanted, one.id)]
    holding = [one for one in suited if one not in named and any(matches(wanted, name) for name in one.labels.values())]
    return (*named, *holding)


def matches(wanted: list[str], name: str) -> bool:
    """True when each wanted word, or one that stands for it, begins one of the words of a name of the package."""
    parts = name.casefold().split("_")
    return all(any(part.startswith(word) for part in parts for word in words_for(one)) for one in wanted)


def checked_structures(of: Task, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names in the order of the label map; InputError for one that the task does not know."""
    import difflib

    known = list(of.labels.values())
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3)
            hint = f"close: {', '.join(close)}" if close else f"`oncosegment models tasks {of.id}` lists its {len(known)}"
            raise InputError(f"the task {of.id!r} has no structure {name!r}; {hint}")
    chosen = tuple(name for name in known if name in names)
    absent = sorted(set(chosen) - set(crop_labels(of))) if of.takes_subset else []
    if absent:
        raise InputError(
            f"the task {of.id!r} cannot be limited to {absent[0]!r}: its crop model does not know it;"
            " run the task without a choice of structures"
        )
    return chosen


def crop_labels(of: Task) -> tuple[str, ...]:
    """Structures that the model knows which finds the region of a choice of structures."""
    return tuple(tasks()["total_mr" if of.id.endswith("_mr") else "total"].labels.values())


def checked_speed(of: Task, speed: str) -> str:
    """The speed; InputError when the task has no model for it."""
    if speed not in of.speeds:
        raise InputError(f"the task {of.id!r} has no speed {speed!r}; wanted {', '.join(of.speeds)}")
    return speed


def weights_of(of: Task, speed: str = "normal", structures: tuple[str, ...] = ()) -> tuple[Weights, ...]:
    """All networks that a run loads, crop models first; each once. ModelError when the package names no weights."""
    config = config_of(of.id, speed)
    ids = config["task_id"] if isinstance(config["task_id"], list) else [config["task_id"]]
    if structures and of.takes_subset and isinstance(config["task_id"], list):
        ids = [one for one in ids if any(name in structures for name in part_labels(of.id, one))]
    needed = list(crop_weights(of, config, structures))
    if of.id == "vertebrae_pp_refined":
        needed.extend(weights_of(task("vertebrae_body")))
    needed.extend(weights(one, config) for one in ids)
    return tuple(dict.fromkeys(needed))


def config_of(name: str, speed: str) -> dict:
    """The package's settings of a task at a speed, over its defaults."""
    from totalsegmentator.map_tasks_config import DEFAULT_CONFIG, TASK_CONFIGS

    own = TASK_CONFIGS[name]
    if "sub_modes" in own:
        own = own["sub_modes"]["default" if speed == "normal" else speed]
    return {**DEFAULT_CONFIG, "plans": "nnUNetPlans", **own}


def weights(number: int | str, config: dict) -> Weights:
    """The network with that number under the settings of its task."""
    from totalsegmentator.map_tasks_config import TASK_ID_WEIGHTS_CONFIGS

    if number not in TASK_ID_WEIGHTS_CONFIGS:
        raise ModelError(f"TotalSegmentator names no weights for its model {number}: the task is one of its own tests")
    folder = TASK_ID_WEIGHTS_CONFIGS[number]["foldername"]
    folds = None if config["folds"] is None else tuple(config["folds"])
    return Weights(number, folder, config["trainer"], config["plans"] or "nnUNetPlans", config["model"], folds)


def crop_weights(of: Task, config: dict, structures: tuple[str, ...]) -> tuple[Weights, ...]:
    """What finds the region to work in, if the task or the choice of structures asks for one."""
    subset = bool(structures) and of.takes_subset
    if config["crop"] is None and not subset and not config["cascade"]:
        return ()
    if config["crop_model"]:
        return weights_of(task(config["crop_model"]))
    if config["crop"] is not None and ("body_trunc" in config["crop"] or "body_extremities" in config["crop"]):
        return weights_of(task("body"), "fast")
    if of.id.endswith("_mr"):
        return weights_of(task("total_mr"), "fast")
    return weights_of(task("total"), "fast" if config["robust_crop"] else "fastest")


def part_labels(name: str, number: int) -> tuple[str, ...]:
    """Names of the structures that one of several networks of a task finds."""
    from totalsegmentator import map_to_binary as maps

    names, parts = {
        "total": (maps.map_taskid_to_partname_ct, maps.class_map_5_parts),
        "total_v3": (maps.map_taskid_to_partname_ct_v3, maps.class_map_5_parts_total_v3),
        "total_mr": (maps.map_taskid_to_partname_mr, maps.class_map_parts_mr),
        "headneck_muscles": (maps.map_taskid_to_partname_headneck_muscles, maps.class_map_parts_headneck_muscles),
    }[name]
    return tuple(parts[names[number]].values())
