"""The engine `sam`: pictures of slices are encoded once, clicks are decoded, and what they found is followed through the slices.

An answer is made anew from all prompts each time; what is kept between answers are the features of pictures alone, which are
the same bits whether kept or made. So it depends on image and question only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from OncoLib.errors import InputError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, silent
from OncoSegmentLib.experts.torch_run import own_errors
from OncoSegmentLib.refine.protocol import Answer, Capabilities, Question, usable
from OncoSegmentLib.refine.sam import result, views, walk
from OncoSegmentLib.refine.sam.before import Before, before
from OncoSegmentLib.refine.sam.embeddings import Embeddings
from OncoSegmentLib.refine.sam.slice_prompts import SlicePrompts, Told, flat_axis, told
from OncoSegmentLib.refine.sam.stack import ACROSS, AXES, Stack, natural_axis, patient_axes, stack_of
from OncoSegmentLib.refine.sam.windows import Window, is_ct, percentile_window, taken_for_ct, told_window, window_at
from OncoSegmentLib.warm import freed_on_out_of_memory

STRATEGIES = ("auto", "memory", "neighbors")
CORRECTION_MM = 15.0
"""How far along the slices a correction of a mask goes at most; our own choice."""

GUESS = "nobody says what this image is; its values are taken for CT, in HU"
"""Told with each answer, for the window of CT hides what other images show."""

NEAR = 2
"""Pixels beside a click that still count as clicked: masks of small networks have holes. Our own choice."""

NOT_FOLLOWED = "the network answered with nothing that holds a clicked point; another click, or a box, tells it more"

POINTS, BOXES = ("point", "box", "scribble", "lasso"), ("box",)
CAPABILITIES = Capabilities(POINTS, ("point", "scribble"), start=True, probabilities=True)


@dataclass(frozen=True)
class Look:
    """How slices become pictures."""

    stack: Stack
    window: Window
    view: views.View


class SamEngine:
    """See `protocol.Engine`; made by `make`.

    `looked_at` tells which slice the reader sees; `fill` encodes one more picture around it, to be called when nothing else is
    done. `computed` counts pictures encoded so far.
    """

    name = "sam"

    def __init__(self, network, embeddings: Embeddings, *, axis="auto", window="auto", strategy="auto", zoom=True) -> None:
        self.network, self.embeddings = network, embeddings
        self._axis, self._window, self._zoom = checked_axis(axis), told_window(window), bool(zoom)
        self._follow = strategy_of(strategy, network)
        kinds = POINTS if "point" in network.kinds else BOXES
        negative = ("point", "scribble") if "point" in network.kinds else ()
        self.capabilities = Capabilities(kinds, negative, start=True, probabilities=True, notice=network.notice)
        self.close()

    @property
    def computed(self) -> int:
        """Pictures encoded since the engine was made."""
        return self.embeddings.computed

    def set_image(self, image: Image, *, progress: Progress = silent, cancel: CancelToken | None = None) -> None:
        """Takes an image; features of another one leave the memory, those on a disk stay."""
        digest = digest_of(image, cancel or CancelToken())
        if digest != self._digest:
            self.embeddings.clear()
            self._percentiles, self._extents = None, {}
        self._image, self._digest, self._look, self._seen = image, digest, None, None
        self._guess = GUESS if self._window is None and taken_for_ct(image) else ""

    def close(self) -> None:
        """Lets go of the image and of its features in memory."""
        self.embeddings.clear()
        self._image = self._digest = self._percentiles = self._look = self._seen = None
        self._extents: dict[tuple, float] = {}
        self._guess = ""

    def answer(self, question: Question, *, progress: Progress = silent, cancel: CancelToken | None = None) -> Answer:
        """The mask for a question; see `protocol.Engine`. InputError when nothing says where the structure is."""
        image = self._required()
        usable(question.prompts, self.capabilities)
        cancel = cancel or CancelToken()
        cancel.check()
        with freed_on_out_of_memory(), own_errors(self.network.name, "the network"):
            return self._answered(image, question, progress, cancel)

    def _answered(self, image: Image, question: Question, progress: Progress, cancel: CancelToken) -> Answer:
        stack = stack_of(image, self._axis_for(image, question))
        asked = told(image, stack, question.prompts)
        was = before(stack, question, asked)
        notes = [*asked.notes, *filter(None, [self.network.caution, self._guess])]
        if not any(one.positive or was.holds(number) for number, one in asked.slices.items()):
            if question.start is None:
                raise InputError("no prompt says where the structure is; wanted a positive one inside of the image")
            return result.nothing(question, [*notes, "no prompt lies in the structure or marks a new one: nothing was changed"])
        window = self._window or self._window_for(image, stack, asked, was)
        limit = limits(stack, question, asked)
        extent = self._extent(image, stack, window, asked, was, progress, cancel)
        ladder = (view_of(stack, asked, extent, most) for most in range(views.HALVINGS if self._zoom else 0, -1, -1))
        for view in dict.fromkeys(ladder):
            look = Look(stack, window, view)
            seen, rest = self._walked(image, look, asked, was, limit, progress, cancel)
            if seen is not None and not result.touches_edge(seen, stack, view):
                break
        self._look, self._seen = look, next(reversed(asked.slices))
        found = result.with_rest(seen, was.prior, rest)
        if found is not None:
            found = result.kept(found, asked, was.prior)
        if question.start is None and missed(asked, found):
            return result.nothing(question, [*notes, NOT_FOLLOWED])
        base = None if question.start is None else was.base
        return result.answer_of(stack, found, question, base, [*notes, *unheard(asked, found)])

    def _axis_for(self, image: Image, question: Question) -> str:
        """That of the option; else across the first flat drawing; else that of the scan."""
        if self._axis != "auto":
            return self._axis
        flat = flat_axis(image, question.prompts)
        if flat is None:
            return natural_axis(image)
        return next(name for name in AXES if ACROSS[name] == patient_axes(image)[flat])

    def _window_for(self, image: Image, stack: Stack, asked: Told, was: Before) -> Window:
        """By the first positive prompt, so that later ones see the same pictures; by the mask before without one."""
        if not is_ct(image):
            self._percentiles = self._percentiles or percentile_window(image)
            return self._percentiles
        number, one = next((item for item in asked.slices.items() if item[1].positive), (None, None))
        if one is None:
            places = was.voxels()
        else:
            pixels = [point for point, label in zip(one.points, one.labels) if label]
            pixels = pixels or [((one.box[0] + one.box[2]) // 2, (one.box[1] + one.box[3]) // 2)]
            places = np.array([(number, row, column) for column, row in pixels])
        return window_at(image, stack.places_back(places))

    def _extent(self, image, stack, window, asked: Told, was: Before, progress, cancel) -> float:
        """Size in mm of the structure in the first slice: of a box or a mask, else of what the first click finds there; endless
        where it is not wanted."""
        if not self._zoom:
            return float("inf")
        number, one = next(item for item in asked.slices.items() if item[1].positive or was.holds(item[0]))
        if one.box is not None:
            x0, y0, x1, y1 = one.box
            return max((x1 - x0 + 1) * stack.spacing_mm[2], (y1 - y0 + 1) * stack.spacing_mm[1])
        if was.holds(number):
            return views.extent_mm(was.plane(number), stack)
        first = next(point for point, label in zip(one.points, one.labels) if label)
        key = (stack, window, number, first)
        if key not in self._extents:
            progress(None, "Looking at the clicked slice")
            self._extents[key] = self._clicked_extent(image, stack, window, number, first, cancel)
        return self._extents[key]

    def _clicked_extent(self, image, stack: Stack, window: Window, number: int, point, cancel) -> float:
        """Size in mm of what a click alone finds in its slice, in the smallest square around it that shows all of that; 0 where
        none shows anything."""
        alone = Told({number: SlicePrompts([point], [1])})
        for most in range(views.HALVINGS, -1, -1):
            look = Look(stack, window, views.around(stack, point, 0.0, most))
            prompts = alone.slices[number].seen(look.view, self.network.size)
            logits = self.network.decoded(self._features(image, look, number, cancel), prompts)
            found = result.assembled(stack, look.view, {number: logits})
            if result.holds(found, (number, *point[::-1])) and not result.touches_edge(found, stack, look.view):
                break
        return 0.0 if found is None else views.extent_mm(result.kept(found, alone).mask[0], stack)

    def _walked(self, image, look: Look, asked: Told, was: Before, limit, progress, cancel):
        """The structure through the slices as one view sees it, and slices of a mask before that it did not come to."""
        inside, there = look.view.overlap(look.stack.shape[1:])

        def masked(number: int) -> np.ndarray:
            plane = np.zeros((look.view.rows, look.view.columns), bool)
            plane[there] = was.plane(number)[inside]
            return plane

        way = walk.Way(
            network=self.network,
            view=look.view,
            slices=asked.slices,
            prior={number: masked(number) for number in was.numbers},
            limit=limit,
            reach=max(1, int(CORRECTION_MM // look.stack.spacing_mm[0])),
            count=look.stack.shape[0],
            features=lambda number: self._features(image, look, number, cancel),
            progress=progress,
            cancel=cancel,
        )
        logits = self._follow(way)
        rest = [number for number in was.numbers if number not in logits]
        return result.assembled(look.stack, look.view, logits), rest

    def _features(self, image: Image, look: Look, number: int, cancel: CancelToken) -> tuple:
        """Of a picture, kept or computed."""
        cancel.check()

        def make() -> tuple:
            return self.network.features(look.view.picture(look.stack.view(image.voxels)[number], look.window))

        return self.embeddings.get(self._key(look, number), make)

    def _key(self, look: Look, number: int) -> tuple:
        """All that decides about the features of a picture."""
        return (self._digest, look.stack, number, look.view, look.window, self.network.sha256, self.network.settings)

    def looked_at(self, ras) -> None:
        """Tells the place (mm) that the reader looks at, around which `fill` goes on."""
        image = self._required()
        stack = self._look.stack if self._look else stack_of(image, natural_axis(image) if self._axis == "auto" else self._axis)
        from OncoSegmentLib.refine.raster import kji_of

        place = stack.places(kji_of(image, [ras]))[0][0]
        self._seen = int(np.clip(np.floor(place + 0.5), 0, stack.shape[0] - 1))

    def fill(self, cancel: CancelToken | None = None) -> bool:
        """Encodes the picture nearest to the slice looked at that is not kept yet, as the last answer saw it.

        False when there is none, when no further one fits into the memory, or before the first answer. For idle time: one
        call takes as long as one picture does.
        """
        if self._image is None or self._look is None or not self.embeddings.room_for(self.embeddings.bytes_each):
            return False
        for number in outward(self._seen, self._look.stack.shape[0]):
            if self._key(self._look, number) not in self.embeddings:
                self._features(self._image, self._look, number, cancel or CancelToken())
                return True
        return False

    def _required(self) -> Image:
        if self._image is None:
            raise InputError("no image was given to the engine yet")
        return self._image


def make(
    model: str = "demo-sam",
    device: str = "auto",
    *,
    axis: str = "auto",
    window="auto",
    strategy: str = "auto",
    zoom: bool = True,
    like: str = "",
    cache_mb: int = 2000,
    cache_folder: str = "",
) -> SamEngine:
    """The engine with a model's weights.

    model: id of an installed card, or an absolute path (see `models.source_of`, and `like`). device: auto, cpu or cuda. axis:
    of `stack.AXES`, or auto. window: auto, a name of `windows.WINDOWS`, or level and width. strategy: memory (SAM 2.1 only),
    neighbors, or auto. zoom: a small structure is seen in a part of the slice. cache_mb: features kept in memory, 10^6 bytes;
    cache_folder: a folder of the user's own where they are kept too, "" for none.
    """
    from OncoSegmentLib.refine.sam import models

    if not isinstance(cache_mb, (int, float)) or cache_mb < 0:
        raise InputError(f"cache_mb {cache_mb!r}; wanted a number of megabytes from 0")
    checked_axis(axis)
    told_window(window)
    network = models.network_of(models.source_of(model, like), models.device_named(device))
    embeddings = Embeddings(int(cache_mb * 1e6), Path(cache_folder) if cache_folder else None)
    return SamEngine(network, embeddings, axis=axis, window=window, strategy=strategy, zoom=zoom)


def checked_axis(axis: str) -> str:
    """The option; InputError for an unknown one."""
    if axis not in (*AXES, "auto"):
        raise InputError(f"slices along {axis!r} are unknown; wanted {', '.join(AXES)}, or auto")
    return axis


def strategy_of(strategy: str, network):
    """The way through the slices; InputError for one that the network has not."""
    if strategy not in STRATEGIES:
        raise InputError(f"strategy {strategy!r}; wanted one of {', '.join(STRATEGIES)}")
    if strategy == "memory" and not network.memory:
        raise InputError(f"{network.name} has no memory of slices; choose the strategy neighbors, or auto")
    return walk.by_memory if network.memory and strategy != "neighbors" else walk.by_neighbors


def digest_of(image: Image, cancel: CancelToken) -> str:
    """SHA-256 of an image's numbers; where it lies does not matter to pictures, beyond what the stack says."""
    digest = hashlib.sha256(repr((image.shape_kji, image.voxels.dtype.str)).encode())
    for plane in image.voxels:
        cancel.check()
        digest.update(np.ascontiguousarray(plane))
    return digest.hexdigest()


def limits(stack: Stack, question: Question, asked: Told) -> tuple[int, int]:
    """First and last but one slice that may hold anything."""
    first, last = asked.reach or (0, stack.shape[0])
    if question.within is not None:
        span = stack.part(question.within)[0]
        first, last = max(first, span.start), min(last, span.stop)
    return first, last


def view_of(stack: Stack, asked: Told, extent: float, most: int) -> views.View:
    """The square around the first positive prompt that holds all prompts. most: how often it may be halved."""
    one = next((one for one in asked.slices.values() if one.positive), next(iter(asked.slices.values())))
    if one.box is not None:
        middle = ((one.box[0] + one.box[2]) / 2, (one.box[1] + one.box[3]) / 2)
    else:
        middle = next((point for point, label in zip(one.points, one.labels) if label), one.points[0])
    view = views.around(stack, middle, extent, most)
    while most and not all(other.in_view(view) for other in asked.slices.values()):
        most -= 1
        view = views.around(stack, middle, extent, most)
    return view


def outward(start: int, count: int) -> Iterator[int]:
    """All numbers below `count`, the nearest to `start` first."""
    return iter(sorted(range(count), key=lambda one: (abs(one - start), one)))


def missed(asked: Told, found: result.Found | None) -> bool:
    """True where there are positive points and an answer holds none of them, nor a pixel beside: it is of something else."""
    if any(one.box is not None for one in asked.slices.values()):
        return False
    told = [(number, one) for number, one in asked.slices.items() if 1 in one.labels]
    places = [(number, row, column) for number, one in told for (column, row), label in zip(one.points, one.labels) if label]
    return bool(places) and not any(result.holds(found, one, NEAR) for one in places)


def unheard(asked: Told, found: result.Found | None) -> list[str]:
    """Sentences about clicks that the network did not follow."""
    wrong = 0
    for number, one in asked.slices.items():
        for (column, row), label in zip(one.points, one.labels):
            wrong += result.holds(found, (number, row, column)) != bool(label)
    return [f"the network did not follow {wrong} of the clicked points"] if wrong else []
