"""What a user can ask to see, found by words, as requests: organ profiles, TotalSegmentator's tasks, installed models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from OncoLib.errors import InputError, OncoError
from OncoSegmentLib.experts.total_segmentator import tasks
from OncoSegmentLib.profiles import Profile, find_profile, usable_profiles
from OncoSegmentLib.request import Request

PROFILE, TASK, NNUNET, MONAI = "profile:", "task:", "nnunet:", "monai:"


@dataclass(frozen=True)
class Goal:
    """One thing to look for.

    id: "profile:...", "task:...", "nnunet:..." or "monai:...". title: for a list. speeds: more than one where there is a choice.
    structures: name for the request and name for the reader of each structure that can be picked; empty for profiles.
    """

    id: str
    title: str
    modality: str
    speeds: tuple[str, ...] = ("normal",)
    structures: tuple[tuple[str, str], ...] = ()


def goals(folder: Path | None = None) -> tuple[list[Goal], list[str]]:
    """All goals, profiles first, and sentences on what cannot be offered.

    folder: of the user's own profiles. Without the package TotalSegmentator its tasks are such a sentence.
    """
    profiles, problems = usable_profiles(folder)
    found = [profile_goal(profile) for profile in profiles.values()]
    try:
        found.extend(task_goal(one) for one in tasks.find_tasks(""))
    except OncoError as error:
        problems = [*problems, str(error)]
    installed, more = installed_goals()
    return [*found, *installed], [*problems, *more]


def installed_goals() -> tuple[list[Goal], list[str]]:
    """Models of nnU-Net and MONAI in the store and those that come with OncoSegment, and sentences on those that cannot be read.

    TotalSegmentator's are in its tasks.
    """
    from ModelManagerLib import store
    from ModelManagerLib.embedded import embedded_cards
    from ModelManagerLib.store_places import store_root
    from ModelManagerLib.user_catalog import whole_catalog

    found, problems = [], []
    try:
        root = store_root()
        known = {card.id: card for card in whole_catalog(root)[0]}
        cards = [known[one.card] for one in store.installed(root) if one.card in known] + [*embedded_cards()]
    except OncoError as error:
        return [], [str(error)]
    for card in cards:
        try:
            found += goals_of_card(card, root)
        except OncoError as error:
            problems.append(str(error))
    return found, problems


def goals_of_card(card, root: Path) -> list[Goal]:
    """The goal of an installed model; none for one that another program runs."""
    from OncoSegmentLib.experts.engines import MODELS
    from OncoSegmentLib.experts.monai_bundle import source as monai
    from OncoSegmentLib.experts.nnunet import source as nnunet

    if MODELS.get(card.engine) == "nnunet" and card.family != "totalsegmentator":
        model = nnunet.model_of_card(card.id, root)
        return [model_goal(NNUNET, card, model, len(model.channels), "nnU-Net")]
    if MODELS.get(card.engine) == "monai_bundle":
        model = monai.labels_of_card(card, root)
        return [model_goal(MONAI, card, model, len(card.channels), "MONAI")]
    return []


def model_goal(kind: str, card, model, channels: int, package: str) -> Goal:
    """An installed model. model: with the names of what it finds; see `experts.structures`."""
    from OncoSegmentLib.experts.structures import structure_of

    pairs = tuple((output.name, structure_of(model, output.name).name) for output in model.outputs)
    count = f"{len(pairs)} structures" if len(pairs) > 1 else "1 structure"
    several = f", {channels} channels" if channels > 1 else ""
    return Goal(kind + card.id, f"{card.title}: {count}, {card.modality}{several}, {package}", card.modality, structures=pairs)


def profile_goal(profile: Profile) -> Goal:
    """An organ profile of the thresholds model."""
    named = profile.id if profile.builtin else str(profile.path.resolve())
    return Goal(PROFILE + named, f"{profile.title}, by thresholds", profile.modality)


def task_goal(task: tasks.Task) -> Goal:
    """A task of TotalSegmentator."""
    from ModelManagerLib.labels import structure_of_label

    pairs = tuple((name, structure_of_label("totalsegmentator", task.id, name).name) for name in task.labels.values())
    words = task.id.removesuffix("_mr").replace("_", " ")
    count = f"{len(pairs)} structures" if len(pairs) > 1 else "1 structure"
    title = f"{words[:1].upper()}{words[1:]}: {count}, {task.modality}, TotalSegmentator"
    return Goal(TASK + task.id, title, task.modality, task.speeds, pairs)


def find_goals(known: Sequence[Goal], words: str) -> list[Goal]:
    """Goals of which every word begins a word of the title or of one structure; those with it in the title first."""
    wanted = words.casefold().replace("_", " ").split()
    named = [goal for goal in known if _begins(wanted, goal.title)]
    holding = [goal for goal in known if goal not in named and _holds(wanted, goal)]
    return named + holding


def _holds(wanted: list[str], goal: Goal) -> bool:
    return any(_begins(wanted, f"{name} {shown}") for name, shown in goal.structures)


def _begins(wanted: list[str], text: str) -> bool:
    return tasks.matches(wanted, "_".join(text.replace(":", " ").replace(",", " ").replace("_", " ").split()))


def request_of(
    goal_id: str,
    *,
    speed: str = "normal",
    structures: Sequence[str] = (),
    region=None,
    device: str = "auto",
    precision: str = "",
    confirm: str = "",
) -> Request:
    """The request for a goal; InputError for an id that is none.

    precision: of networks, "" for what a model takes by itself. confirm: SHA-256 of a foreign model, see `foreign`.
    """
    more = {name: value for name, value in (("precision", precision), ("confirm", confirm)) if value}
    if goal_id.startswith(PROFILE):
        return Request("thresholds", profile=goal_id[len(PROFILE) :], region=region, device=device)
    if goal_id.startswith(TASK):
        parameters = {"task": goal_id[len(TASK) :], "speed": speed, "structures": list(structures), **more}
        return Request("totalsegmentator", region=region, device=device, parameters=parameters)
    for kind, model in ((NNUNET, "nnunet"), (MONAI, "monai_bundle")):
        if goal_id.startswith(kind):
            chosen = {"structures": list(structures)} if structures else {}
            parameters = {"weights": goal_id[len(kind) :], **chosen, **more}
            return Request(model, region=region, device=device, parameters=parameters)
    raise InputError(f"{goal_id!r} is no goal; wanted {PROFILE}..., {TASK}..., {NNUNET}... or {MONAI}...")


def takes_precision(goal_id: str) -> bool:
    """True for goals whose networks can compute in a precision that the user chooses."""
    return goal_id.startswith((NNUNET, TASK))


def problem_of(goal_id: str, *, speed: str = "normal", structures: Sequence[str] = (), confirm: str = "") -> str:
    """Why this cannot run on this machine now (weights, license number), in one sentence; "" when it can."""
    from OncoSegmentLib.experts.total_segmentator.license_number import require_license_number
    from OncoSegmentLib.experts.total_segmentator.weights import folder_for, require_weights

    if goal_id.startswith((NNUNET, MONAI)):
        return problem_of_model(request_of(goal_id, structures=structures, confirm=confirm))
    if not goal_id.startswith(TASK):
        return ""
    try:
        task = tasks.task(goal_id[len(TASK) :])
        needed = tasks.weights_of(task, tasks.checked_speed(task, speed), tasks.checked_structures(task, tuple(structures)))
        if task.licensed:
            require_license_number(task.id)
        require_weights(needed, folder_for(needed), task.id)
    except OncoError as error:
        return str(error)
    return ""


def problem_of_model(request: Request) -> str:
    """What stands in the way of a run: the package, the model's files. Images for its channels are looked at by the panel."""
    try:
        model_of_request(request)
    except OncoError as error:
        return str(error)
    return ""


def model_of_request(request: Request):
    """The model that an expert makes of a request; its error says what is missing."""
    if request.model == "nnunet":
        from OncoSegmentLib.experts.nnunet.expert import plan_of, require_package

        require_package()
        return plan_of(request).model
    from OncoSegmentLib.experts.monai_bundle.expert import plan_of as monai_plan_of
    from OncoSegmentLib.experts.monai_bundle.source import require_packages

    require_packages()
    return monai_plan_of(request).recipe.model


def model_with_channels(request: Request):
    """What of a request's model takes several images (`TakesChannels`); None when it takes one, or cannot be read."""
    from OncoSegmentLib.experts.registry import expert

    try:
        channels_of = getattr(expert(request.model), "channels_of", None)
        model = channels_of(request) if channels_of else None
    except OncoError:
        return None
    return model if model is not None and len(model.channels) > 1 else None


def profile_id(profile: str, folder: Path | None = None) -> str:
    """Goal of a profile named by id or file."""
    return profile_goal(find_profile(profile, folder)).id
