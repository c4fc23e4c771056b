"""What was done in a session as JSON, and the same session again from it, bit for bit.

A document holds the acts in order and the masks that they name, packed, so that it needs nothing beside it but the image. It
names no file and no patient: prompts are places in mm, masks are voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from OncoLib.audit import image_sha256
from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoSegmentLib.refine.masks import Packed, packed_from, part_from_list
from OncoSegmentLib.refine.prompts import from_dict
from OncoSegmentLib.refine.protocol import Engine
from OncoSegmentLib.refine.session import Session
from OncoSegmentLib.refine.steps import UNCHANGED

VERSION = 1


def document(session: Session, options: dict | None = None, input_sha256: str = "") -> dict:
    """All that `replayed` needs, JSON-ready. options: those that the engine was made with.

    input_sha256: of the image's content (`audit.image_sha256`), when it is known already.
    """
    return {
        "version": VERSION,
        "engine": session.engine.name,
        "options": dict(options or {}),
        "image_sha256": input_sha256 or image_sha256(session.image),
        "acts": [dict(act) for act in session.log],
        "masks": {name: mask.as_dict() for name, mask in session.masks.items()},
    }


def checked_document(values) -> dict:
    """A document with its masks as `Packed`; InputError, saying what is wrong, for anything else."""
    if not isinstance(values, dict) or not isinstance(values.get("acts"), list) or not isinstance(values.get("masks"), dict):
        raise InputError("this is no log of a refinement; wanted version, engine, options, image_sha256, acts and masks")
    if values.get("version") != VERSION:
        raise InputError(f"this log of a refinement has version {values.get('version')!r}; this OncoSegment reads {VERSION}")
    if not isinstance(values.get("engine"), str) or not isinstance(values.get("options"), dict):
        raise InputError("this log of a refinement does not say which engine answered, and with what options")
    return {**values, "masks": {name: packed_from(mask, name) for name, mask in values["masks"].items()}}


def replayed(
    values: dict, engine: Engine, image: Image, *, progress: Progress = silent, cancel: CancelToken | None = None
) -> Session:
    """The session of a document on its image; InputError for another image, or when the engine answers otherwise today."""
    read = checked_document(values)
    if read.get("image_sha256") != image_sha256(image):
        raise InputError("the log was made on another image: the voxels or their place in the patient differ")
    return replay(read["acts"], engine, image, masks=read["masks"], progress=progress, cancel=cancel)


def replay(
    log: list[dict],
    engine: Engine,
    image: Image,
    *,
    masks: Mapping[str, Packed] | None = None,
    check: bool = True,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Session:
    """A session in the identical state. log, masks: `Session.log` and `Session.masks`.

    check: after each act the mask must have the fingerprint that it had; InputError says with which act it has not. Acts
    that were undone are done and undone again, and questions that were not asked then are not asked now.
    """
    masks = dict(masks or {})
    if not log or not isinstance(log[0], dict) or log[0].get("act") != "begin":
        raise InputError("a log of a refinement starts with the act 'begin'")
    begin = log[0]
    start, protected = (mask_of(begin.get(name), masks) for name in ("start", "protected"))
    session = Session(engine, image, start=start, protected=protected, within=part_from_list(begin.get("within")))
    compare(session, begin, 1, check)
    for number, act in enumerate(log[1:], 2):
        told = part_of(progress, (number - 2) / len(log), (number - 1) / len(log))
        do(session, act, masks, told, cancel or CancelToken())
        compare(session, act, number, check)
    return session


def compare(session: Session, act: dict, number: int, check: bool) -> None:
    """InputError when the mask is not what it was after this act."""
    if check and act.get("fingerprint", session.fingerprint) != session.fingerprint:
        raise InputError(
            f"act {number} of the log ({act.get('act')}) gives another mask than when it was recorded:"
            f" the engine {session.engine.name} or its version differs"
        )


def do(session: Session, act: dict, masks: Mapping[str, Packed], progress: Progress, cancel: CancelToken) -> None:
    """One act of a log."""
    kind = act.get("act") if isinstance(act, dict) else None
    if not isinstance(kind, str) or kind not in ACTS:
        raise InputError(f"a log of a refinement holds the act {kind or act!r}; wanted one of {', '.join(ACTS)}")
    try:
        ACTS[kind](session, act, masks, {"progress": progress, "cancel": cancel})
    except KeyError as error:
        raise InputError(f"an act {kind!r} of the log lacks {error.args[0]!r}") from error


def add(session: Session, act: dict, masks: Mapping[str, Packed], asks: dict) -> None:
    """The act `add`; its id must come out again."""
    step = session.plan_add(from_dict(act["prompt"]), **limits(act, masks))
    if step.act["id"] != act["id"]:
        raise InputError(f"the log gives prompt {act['id']!r} where {step.act['id']} comes; acts are missing or were added")
    session.do(step, **asks)


def add_all(session: Session, act: dict, masks: Mapping[str, Packed], asks: dict) -> None:
    """The act `add_all`."""
    if not isinstance(act["prompts"], list):
        raise InputError(f"the log gives prompts as {type(act['prompts']).__name__}; wanted a list")
    step = session.plan_add_all([from_dict(one) for one in act["prompts"]])
    if step.act["ids"] != act["ids"]:
        raise InputError(f"the log gives prompts {act['ids']!r} where {step.act['ids']} come; acts are missing or were added")
    session.do(step, **asks)


def limits(act: dict, masks: Mapping[str, Packed]) -> dict:
    """What an act says of limit and protected voxels."""
    return {
        "protected": mask_of(act["protected"], masks) if "protected" in act else UNCHANGED,
        "within": part_from_list(act["within"]) if "within" in act else UNCHANGED,
    }


def mask_of(name: str | None, masks: Mapping[str, Packed]):
    """The mask of a fingerprint; None for None."""
    if name is None:
        return None
    if name not in masks:
        raise InputError(f"the log names the mask {str(name)[:12]}, which is not stored with it")
    return masks[name].mask()


ACTS: dict[str, Callable] = {
    "add": add,
    "add_all": add_all,
    "remove": lambda session, act, masks, asks: session.remove(act["id"], **asks),
    "limits": lambda session, act, masks, asks: session.do(session.plan_set(**limits(act, masks)), **asks),
    "edited": lambda session, act, masks, asks: session.edited(mask_of(act["mask"], masks)),
    "reset": lambda session, act, masks, asks: session.reset(),
    "undo": lambda session, act, masks, asks: session.undo(),
    "redo": lambda session, act, masks, asks: session.redo(),
    "go_to": lambda session, act, masks, asks: session.go_to(act["state"]),
}
