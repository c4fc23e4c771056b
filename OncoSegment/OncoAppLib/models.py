"""`oncosegment models`: the catalogue (in model_catalog), and what TotalSegmentator's tasks find."""

from __future__ import annotations

import json

from OncoAppLib import model_catalog, model_store
from OncoAppLib.options import add_common


def add(verbs) -> None:
    """`models list|search|show|install|...|tasks`."""
    verb = verbs.add_parser("models", help="models: those there are, finding one; the tasks of TotalSegmentator")
    actions = verb.add_subparsers(title="actions", metavar="ACTION", required=True)
    model_catalog.add(actions)
    model_store.add(actions)
    tasks = actions.add_parser("tasks", help="TotalSegmentator's tasks, or the structures of one")
    tasks.add_argument("task", nargs="?", default="", help="id of a task, to list its structures")
    tasks.add_argument("--find", default="", metavar="WORDS", help='what you want to see, such as "liver lesion"')
    tasks.add_argument("--modality", default="", help="only tasks for CT or for MR")
    tasks.set_defaults(run=list_tasks)
    add_common(tasks)


def list_tasks(options) -> int:
    """Table of tasks with what is installed, or of the structures of one."""
    from OncoSegmentLib.experts.total_segmentator.tasks import find_tasks, task

    if options.task:
        return list_structures(task(options.task), as_json=options.json)
    found = [task_facts(one) for one in find_tasks(options.find, options.modality.upper())]
    if options.json:
        print(json.dumps(found))
        return 0
    width = max([len(row["task"]) for row in found] + [4])
    for row in found:
        states = ", ".join(f"{speed} {'installed' if there else 'missing'}" for speed, there in row["weights"].items())
        license_text = "  needs a license number" if row["licensed"] else ""
        print(f"{row['task']:<{width}}  {row['modality']}  {row['structures']:>3} structures  {states}{license_text}")
    if not found:
        print(f"No task finds {options.find!r}; leave words out, or list all without --find.")
    return 0


def task_facts(one) -> dict:
    """JSON-ready facts of a task; weights: for each speed, whether all networks are there."""
    from OncoLib.errors import ModelError
    from OncoSegmentLib.experts.total_segmentator.tasks import weights_of
    from OncoSegmentLib.experts.total_segmentator.weights import folder_for, is_installed

    there = {}
    for speed in one.speeds:
        try:
            needed = weights_of(one, speed)
            there[speed] = all(is_installed(weights, folder_for(needed)) for weights in needed)
        except ModelError:
            there[speed] = False
    return {
        "task": one.id,
        "modality": one.modality,
        "structures": len(one.labels),
        "licensed": one.licensed,
        "weights": there,
    }


def list_structures(one, *, as_json: bool) -> int:
    """Label, the package's name, our name and code of each structure."""
    from ModelManagerLib.labels import structure_of_label

    rows = [(value, name, structure_of_label("totalsegmentator", one.id, name)) for value, name in one.labels.items()]
    if as_json:
        print(
            json.dumps(
                [
                    {"label": value, "structure": name, "name": found.name, "codes": found.entry.as_dict(), "note": found.note}
                    for value, name, found in rows
                ]
            )
        )
        return 0
    width = max(len(name) for _, name, _ in rows)
    for value, name, found in rows:
        code = found.entry.type
        print(f"{value:>3}  {name:<{width}}  {found.name} ({code.scheme} {code.value})")
    return 0
