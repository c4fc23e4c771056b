"""The engine `nninteractive`: what the package's session was told, and what it must be told for the next question.

The package's session remembers every prompt and its last answer, and takes one step back. Here a question that goes on from
the last one is answered by its new prompts only, one that takes the last prompt back by the package's step back; any other
is told from the start. All three give the same answer, bit for bit (tested with the package's session side by side).

Limit and protected voxels are applied to what comes out, and never told to the network: its next answer follows from the image
and the prompts alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from OncoLib.errors import InputError, OncoError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of
from OncoSegmentLib.refine.nninteractive.hints import Hint, hint_of
from OncoSegmentLib.refine.prompts import Prompt
from OncoSegmentLib.refine.protocol import Answer, Part, Question, usable

NAME = "nninteractive"
AGAIN = "The session on the server was begun anew: the image and all prompts were sent again."


class SessionGone(Exception):
    """The other side does not know our session any more; it can be begun anew."""


@dataclass(eq=False)
class Told:
    """What the session was told since its beginning. boxes: what each answer touched, `[k, j, i]`, or None.

    alone: the start was refined without any prompt. undoable: the last prompt can be taken back.
    """

    start: np.ndarray | None
    alone: bool
    boxes: list
    prompts: list[Prompt] = field(default_factory=list)
    undoable: bool = False

    def begins_as(self, start: np.ndarray | None, alone: bool) -> bool:
        """True when a question with that start goes on from here."""
        if self.alone != alone or (self.start is None) != (start is None):
            return False
        return start is None or np.array_equal(self.start, start)

    def shared(self, prompts: list[Prompt]) -> int:
        """How many prompts from the first are the same."""
        same = 0
        while same < min(len(prompts), len(self.prompts)) and prompts[same] == self.prompts[same]:
            same += 1
        return same


class NnInteractive:
    """Asks a session of nnInteractive, local or on a server. host: `local.LocalHost` or `remote.RemoteHost`."""

    name = NAME

    def __init__(self, host) -> None:
        self._host, self.capabilities = host, host.capabilities
        self._image: Image | None = None
        self._told: Told | None = None
        self._first_notes: tuple[str, ...] = ()

    def set_image(self, image: Image, *, progress: Progress, cancel: CancelToken) -> None:
        """Takes the image; InputError for one without contrast or with values that are no numbers."""
        self._told = self._image = None
        require_values(image)
        self._host.set_image(image.voxels, progress=progress, cancel=cancel)
        self._image, self._first_notes = image, self._host.notes

    def answer(self, question: Question, *, progress: Progress, cancel: CancelToken) -> Answer:
        """The mask for a question; see `protocol.Engine`."""
        if self._image is None:
            raise InputError("nnInteractive was asked before it was given an image")
        usable(question.prompts, self.capabilities)
        require_start(question, self._image, self.capabilities.start)
        wanted, notes = self._hints(question)
        if not wanted and question.start is None:
            return no_change(question, self._image, notes)
        try:
            return self._answered(question, wanted, notes, progress, cancel)
        except SessionGone:
            self._told = None
            self._host.renew(self._image.voxels, progress=part_of(progress, 0.0, 0.3), cancel=cancel)
        try:
            return self._answered(question, wanted, (*notes, AGAIN), part_of(progress, 0.3, 1.0), cancel)
        except SessionGone as error:
            self._told = None
            raise self._host.lost() from error

    def close(self) -> None:
        """Lets go of image, session and network."""
        self._told = self._image = None
        self._host.close()

    def _hints(self, question: Question) -> tuple[list[tuple[Prompt, Hint]], tuple[str, ...]]:
        """What is to be told, and sentences on prompts outside of the image."""
        found, notes = [], []
        for number, prompt in enumerate(question.prompts, 1):
            flat, thickness = self.capabilities.flat_boxes_only, self._host.thickness
            hint = hint_of(self._image, prompt, flat_boxes_only=flat, thickness=thickness)
            if hint is None:
                notes.append(f"Prompt {number}, a {prompt.kind}, covers no voxel of the image and was left out.")
            else:
                found.append((prompt, hint))
        return found, tuple(notes)

    def _answered(self, question: Question, wanted, notes, progress: Progress, cancel: CancelToken) -> Answer:
        cancel.check()
        try:
            self._tell(question, wanted, progress, cancel)
        except BaseException:
            if not self._host.whole:
                self._told = None
            raise
        cancel.check()
        first, self._first_notes = self._first_notes, ()
        return self._found(question, (*first, *notes))

    def _tell(self, question: Question, wanted, progress: Progress, cancel: CancelToken) -> None:
        """Brings the session to where it has been told all of the question."""
        prompts = [prompt for prompt, _ in wanted]
        done = self._take_back(question, prompts, cancel)
        for number, (prompt, hint) in enumerate(wanted[done:], 1):
            cancel.check()
            progress((number - 1) / (len(wanted) - done), "nnInteractive is looking")
            box = self._host.tell(hint, cancel=cancel)
            self._told.prompts.append(prompt)
            self._told.boxes.append(box)
            self._told.undoable = True
        progress(1.0, "nnInteractive has answered")

    def _take_back(self, question: Question, prompts: list[Prompt], cancel: CancelToken) -> int:
        """Undoes what the question does not hold, and begins anew where that is not enough; how many prompts are told."""
        told, alone = self._told, not question.prompts
        if told is not None and told.begins_as(question.start, alone):
            same = told.shared(prompts)
            if same == len(told.prompts):
                return same
            if same == len(told.prompts) - 1 and told.undoable and self._host.undo():
                told.prompts.pop()
                told.boxes.pop()
                told.undoable = False
                return same
        self._told = None
        start = None if question.start is None else np.array(question.start, bool)
        box = self._host.begin(start, refined=alone, cancel=cancel)
        self._told = Told(start, alone, [box])
        return 0

    def _found(self, question: Question, notes: tuple[str, ...]) -> Answer:
        """What the session's buffer holds where it can differ from the start."""
        part = clipped(union(self._told.boxes), question.within)
        if part is None:
            return no_change(question, self._image, notes)
        mask = self._host.buffer[part] != 0
        if question.protected is not None:
            mask &= ~question.protected[part]
        return Answer(part, mask, None, notes)


def union(boxes) -> Part | None:
    """The smallest box around some, `[[start, stop], ...]` or None each."""
    there = [one for one in boxes if one is not None]
    if not there:
        return None
    return tuple(slice(min(one[axis][0] for one in there), max(one[axis][1] for one in there)) for axis in range(3))


def clipped(part: Part | None, within: Part | None) -> Part | None:
    """What a box shares with the limit; None for nothing."""
    if part is None or within is None:
        return part
    found = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(part, within))
    return found if all(one.start < one.stop for one in found) else None


def no_change(question: Question, image: Image, notes: tuple[str, ...]) -> Answer:
    """The start as it is, said of a single voxel."""
    corner = [one.start for one in question.within] if question.within else [0, 0, 0]
    part = tuple(slice(at, at + 1) for at in corner)
    mask = np.zeros((1, 1, 1), bool) if question.start is None else np.array(question.start[part], bool)
    if question.protected is not None:
        mask &= ~question.protected[part]
    return Answer(part, mask, None, notes)


def require_start(question: Question, image: Image, able: bool) -> None:
    """InputError for a start mask or protected voxels that do not belong to the image, or a start that is not taken."""
    for name, mask in (("start mask", question.start), ("mask of protected voxels", question.protected)):
        if mask is not None and mask.shape != image.shape_kji:
            raise InputError(f"the {name} has {mask.shape} voxels (k, j, i); wanted {image.shape_kji} as the image")
    if question.start is not None and not able:
        raise InputError("this checkpoint of nnInteractive takes no start mask")


def require_values(image: Image) -> None:
    """InputError where the package's normalization, (value - mean) / deviation, has no answer."""
    voxels = image.voxels
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        raise InputError("the image holds values that are no numbers; nnInteractive needs numbers everywhere")
    if voxels.min() == voxels.max():
        raise InputError("all voxels of the image have the same value; there is nothing that nnInteractive could tell apart")


def make(
    *,
    weights: str = "",
    fold: str = "",
    license: str = "",
    server: str = "",
    key: str = "",
    without_tls: bool = False,
    autozoom: bool = True,
    device: str = "auto",
) -> NnInteractive:
    """The engine. Without a server it runs in this process, so let that be a worker.

    weights: id of an installed card (default: the published weights), or an absolute path of a model folder. fold: where there
    are several. license: name of the weights' license, by a user who has read and accepts it; see `weights.weights_of`.
    server: address of an nninteractive-server, which has weights of its own; key: its API key, default as `remote.key_of` finds
    it. without_tls: also take http:// to another machine. autozoom: look at more of the image where an answer reaches the
    border of what the network saw. device: "auto", "cpu", "cuda".
    Raises InputError for options that do not go together, ModelError for weights, a package or a license that is missing,
    WorkerError for a server that does not answer.
    """
    if server:
        from OncoSegmentLib.refine.nninteractive.remote import RemoteHost

        if weights or str(fold):
            raise InputError("an nnInteractive server has weights of its own; leave weights and fold out, or the server")
        return NnInteractive(RemoteHost(server, str(key), without_tls=without_tls, accepted=license, autozoom=autozoom))
    from OncoSegmentLib.refine.nninteractive.local import LocalHost
    from OncoSegmentLib.refine.nninteractive.weights import weights_of

    if key or without_tls:
        raise InputError("a key and a connection without TLS belong to an nnInteractive server; name one, or leave them out")
    try:
        found = weights_of(weights, str(fold), license)  # a command line may have read a number
        return NnInteractive(LocalHost(found, device=device, autozoom=autozoom))
    except OSError as error:
        raise OncoError(f"the weights of nnInteractive cannot be read ({type(error).__name__})") from error
