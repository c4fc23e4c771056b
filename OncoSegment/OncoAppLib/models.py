"""`oncosegment models`: which models there are, and what TotalSegmentator's tasks find."""

from __future__ import annotations

import json

from OncoAppLib.options import add_common


def add(verbs) -> None:
    """`models list|tasks`."""
    verb = verbs.add_parser("models", help="models, and the tasks of TotalSegmentator")
    actions = verb.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="all models")
    listing.set_defaults(run=list_models)
    tasks = actions.add_parser("tasks", help="TotalSegmentator's tasks, or the structures of one")
    tasks.add_argument("task", nargs="?", default="", help="id of a task, to list its structures")
    tasks.add_argument("--find", default="", metavar="WORDS", help='what you want to see, such as "liver lesion"')
    tasks.add_argument("--modality", default="", help="only tasks for CT or for MR")
    tasks.set_defaults(run=list_tasks)
    for action in (listing, tasks):
        add_common(action)


def list_models(options) -> int:
    """Table of models."""
    from ModelManagerLib.catalog import cards

    if options.json:
        print(json.dumps([vars(card) for card in cards()]))
        return 0
    for card in cards():
        print(f"{card.id:<18} {card.title}, {card.version}\n{'':<18} needs {card.needs}")
    return 0


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
    from OncoSegmentLib.experts.total_segmentator.weights import is_installed, weights_folder

    folder, there = weights_folder(), {}
    for speed in one.speeds:
        try:
            there[speed] = all(is_installed(weights, folder) for weights in weights_of(one, speed))
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
