"""The engine `vista3d`: clicks answered by a MONAI bundle that takes points, such as VISTA3D.

The image is prepared once by the bundle's own steps (spacing, orientation, intensities) and stays; each question runs the
network on all of its points, so an answer depends on nothing that was asked before.
"""

from __future__ import annotations

import contextlib

import numpy as np

from ModelManagerLib.known_files import require_as_installed
from OncoLib.errors import InputError, ModelError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress
from OncoSegmentLib.experts.monai_bundle import case, config, recipe, trust
from OncoSegmentLib.experts.monai_bundle.expert import SHA256, quiet
from OncoSegmentLib.experts.monai_bundle.source import model_in, place_of
from OncoSegmentLib.refine.monai_points.bundle import NEW, PointBundle, bundle_of, class_of, inferer_of
from OncoSegmentLib.refine.nninteractive.memory import require_free
from OncoSegmentLib.refine.protocol import Answer, Capabilities, Part, Question, usable

NAME = "vista3d"
CARD = "monai-vista3d"
ADVICE = "cut the image to the part that matters, or use a machine with more"
COPIES = 6
"""Arrays of single precision that are there at once: image, its padded copy, scores, their count, mask, what is brought back."""

NO_POSITIVE = "There is no positive point in what the model sees, so it finds nothing."


class MonaiPoints:
    """Clicks by a bundle. structure: name of what is meant, "new" for what the model was not trained for, or ""."""

    name = NAME

    def __init__(self, bundle: PointBundle, *, weights: str, confirm: str, structure: str, device: str, notice: str) -> None:
        self._found = self._bundle = bundle
        self._weights, self._confirm, self._structure, self._device = weights, confirm, structure, device
        self.capabilities = Capabilities(prompts=("point",), negative=("point",), within=False, notice=notice)
        self._held = contextlib.ExitStack()
        self._image: Image | None = None

    def set_image(self, image: Image, *, progress: Progress, cancel: CancelToken) -> None:
        """Prepares the image by the bundle's steps; ModelError when they cannot be made or do not fit it."""
        from OncoSegmentLib.experts.torch_run import own_errors, threads_kept
        from OncoSegmentLib.warm import freed_on_out_of_memory
        from OncoSegmentLib.worker import require_worker

        self.close()
        cancel.check()
        if self._bundle.recipe.confirmed:
            require_worker(self._bundle.model.name)
        trusted = check_image(image, self._bundle)
        progress(0.0, "Loading the network")
        with freed_on_out_of_memory(ADVICE), own_errors(self._bundle.model.name, "MONAI"), threads_kept(), quiet():
            self._load(progress, cancel)
            cancel.check()
            progress(0.5, "Preparing the image")
            data = image.voxels[None].astype(np.float32)
            self._prepared = self._steps.before(case.inputs(self._steps, data, image.ijk_to_ras))
            self._key = case.IMAGE if case.IMAGE in self._prepared else self._steps.keys[0]
            require_free(self._bundle.model.name, self._need_bytes(image), ADVICE)
        self._class = class_of(self._bundle, self._structure, int(self._network.point_head.last_supported))
        self._image, self._trusted = image, trusted
        progress(1.0, "The image is prepared")

    def answer(self, question: Question, *, progress: Progress, cancel: CancelToken) -> Answer:
        """The mask for a question; see `protocol.Engine`."""
        from OncoSegmentLib.experts.torch_run import own_errors, threads_kept
        from OncoSegmentLib.warm import freed_on_out_of_memory

        if self._image is None:
            raise InputError("MONAI was asked before it was given an image")
        usable(question.prompts, self.capabilities)
        if question.start is not None:
            raise InputError("this engine takes no start mask")
        points, labels, notes = self._points(question)
        notes = (*self._trusted, *notes)
        if not any(labels):
            return empty(question, (*notes, NO_POSITIVE) if question.prompts else notes)
        cancel.check()
        progress(0.1, "The network is looking")
        name = self._bundle.model.name
        with freed_on_out_of_memory(ADVICE), own_errors(name, "MONAI"), threads_kept(), quiet():
            mask = self._mask(points, labels, cancel)
        cancel.check()
        progress(1.0, "The network has answered")
        return answer_of(mask, question, notes)

    def close(self) -> None:
        """Lets go of image and network."""
        self._image = self._prepared = self._network = self._steps = self._infer = None
        self._held.close()
        self._bundle = self._found

    def _load(self, progress: Progress, cancel: CancelToken) -> None:
        """The network and the steps, until `close`. A confirmed bundle runs from a private copy."""
        folder, card = place_of(self._weights)
        if self._found.recipe.confirmed:
            copy = self._held.enter_context(trust.private_bundle(folder, self._confirm, progress, cancel))
            self._bundle = bundle_of(model_in(copy, card), self._confirm, self._device, copied=True)
            self._held.enter_context(trust.own_modules(copy))
        made = self._bundle.recipe
        require_as_installed(folder, made.sha256)
        entries = entries_of(self._bundle, self._device)
        before = recipe.chained(entries.get(config.BEFORE))
        keys = entries.get(config.KEYS)
        keys = (keys,) if isinstance(keys, str) else tuple(str(one) for one in keys)
        self._steps = case.Steps(before, None, None, keys, bool(entries.get(config.FIRST)), made.settings.amp)
        self._infer = inferer_of(self._bundle, entries)
        self._network = self._held.enter_context(leased(self._bundle, self._device))
        if not hasattr(self._network, "point_head"):
            raise ModelError(f"{made.model.name}: its network has no part for points (point_head)")

    def _need_bytes(self, image: Image) -> int:
        """Predicted highest memory of this process: features of one look on the processor, image, scores and mask.

        Counted in MONAI 1.6.1's point window (two arrays of the prepared image beside it) and way back; not measured on the
        published weights. What a GPU needs is not predicted.
        """
        from ModelManagerLib.predict import ACTIVATIONS, BASE_BYTES, SINGLE, voxels

        features = self._network.point_head.class_embeddings.embedding_dim
        looking = ACTIVATIONS * features * voxels(self._bundle.roi) if self._device == "cpu" else 0
        prepared = voxels(self._prepared[self._key].shape[1:])
        return BASE_BYTES + SINGLE * (looking + COPIES * max(prepared, voxels(image.shape_kji)))

    def _points(self, question: Question) -> tuple[np.ndarray, list[int], tuple[str, ...]]:
        """Places `[n, 3]` in voxels of the prepared image and labels, 1 or 0, of the points that lie in it."""
        prepared = self._prepared[self._key]
        from_ras = np.linalg.inv(np.asarray(prepared.affine, float))
        found, labels, notes = [], [], []
        for number, prompt in enumerate(question.prompts, 1):
            place = from_ras[:3, :3] @ np.array(prompt.ras) + from_ras[:3, 3]
            if (place <= 0).any() or (place >= np.array(prepared.shape[1:]) - 1).any():
                notes.append(f"Prompt {number}, a point, lies outside of what the model sees of the image and was left out.")
            else:
                found.append(place)
                labels.append(int(prompt.positive))
        return np.array(found).reshape(-1, 3), labels, tuple(notes)

    def _mask(self, points: np.ndarray, labels: list[int], cancel: CancelToken) -> np.ndarray:
        """bool `[k, j, i]` on the image's grid: as the bundle's evaluator and its last steps make it of the scores."""
        import torch
        from monai.apps.vista3d.transforms import VistaPostTransformd
        from monai.transforms import Invertd

        device = torch.device(self._device)
        image = self._prepared[self._key].to(device)[None]
        image.meta = dict(self._prepared[self._key].meta)
        coordinates = torch.as_tensor(points, dtype=torch.float32, device=device)[None]
        told = torch.as_tensor(self._labels(labels), device=device)[None]
        vector = torch.tensor([[self._class]], device=device) if self._class else None
        half = self._steps.amp and self._device.startswith("cuda")
        hook = self._network.register_forward_pre_hook(lambda *_what: cancel.check())
        try:
            with torch.no_grad(), torch.autocast("cuda", enabled=half):
                scores = self._infer(self._bundle, image, self._network, coordinates, told, vector)
        finally:
            hook.remove()
        item = {"pred": torch.as_tensor(scores)[0].float().cpu(), "points": coordinates.cpu(), "point_labels": told.cpu()}
        if vector is not None:
            item["label_prompt"] = vector[0].cpu()
        found = VistaPostTransformd("pred")(item)["pred"]
        found = torch.nan_to_num(torch.as_tensor(found), nan=0.0)  # outside of all looks
        prepared = self._prepared[self._key]
        pred = prepared.cpu().clone()
        pred.set_array((found > 0).float())
        back = Invertd(keys="pred", transform=self._steps.before, orig_keys=self._key, nearest_interp=True, to_tensor=True)
        result = back({**self._prepared, "pred": pred})["pred"]
        if not case.is_there(result, self._image.shape_kji[::-1], self._image.ijk_to_ras):
            raise ModelError(f"the steps of {self._bundle.model.name} do not lead back to the image's grid")
        return np.ascontiguousarray(np.asarray(result)[0].transpose(2, 1, 0) > 0.5)

    def _labels(self, labels: list[int]) -> list[int]:
        """As the bundle's first step gives them: 3 and 2 for classes that look like others."""
        return [one + 2 for one in labels] if self._class in self._bundle.special else labels


def entries_of(bundle: PointBundle, device: str):
    """The entries of the configuration: ours, or MONAI's parser for a confirmed bundle."""
    found = bundle.recipe.settings
    return trust.ParserEntries(found) if bundle.recipe.confirmed else trust.plain(found, bundle.model.folder, device)


def leased(bundle: PointBundle, device: str):
    """A lease of the network with its weights."""
    from OncoSegmentLib.experts.monai_bundle import weights

    made = bundle.recipe
    key = ("points", tuple(sorted(made.sha256.items())))
    build = lambda: entries_of(bundle, device).get(config.NETWORK)  # noqa: E731
    sha256 = made.sha256[made.weights.relative_to(made.model.folder).as_posix()]
    return weights.leased(key, made.weights, sha256, device, build, made.model.name, made.confirmed)


def check_image(image: Image, bundle: PointBundle) -> tuple[str, ...]:
    """InputError for an image of another kind than the model's; a sentence where nobody said what it is."""
    if len(bundle.model.channels) != 1:
        raise ModelError(f"{bundle.model.name} takes {len(bundle.model.channels)} images; clicks are answered on one")
    wanted = bundle.model.modality
    if wanted and image.modality and image.modality != wanted:
        raise InputError(f"{bundle.model.name} is for {wanted} and the image is {image.modality}")
    told = f"{bundle.model.name} is for {wanted}; that this image is one was not said."
    return () if image.modality or not wanted else (told,)


def empty(question: Question, notes: tuple[str, ...]) -> Answer:
    """Nothing, said of a single voxel."""
    part = tuple(slice(one.start, one.start + 1) for one in question.within or (slice(0, 1),) * 3)
    return Answer(part, np.zeros((1, 1, 1), bool), None, notes)


def answer_of(mask: np.ndarray, question: Question, notes: tuple[str, ...]) -> Answer:
    """The box around what was found, within the limit, less protected voxels."""
    if question.protected is not None:
        mask &= ~question.protected
    limit = question.within or tuple(slice(0, size) for size in mask.shape)
    used = [np.flatnonzero(mask[limit].any(tuple(other for other in range(3) if other != axis))) for axis in range(3)]
    if not all(len(one) for one in used):
        return empty(question, notes)
    part: Part = tuple(slice(one.start + int(line[0]), one.start + int(line[-1]) + 1) for one, line in zip(limit, used))
    return Answer(part, mask[part].copy(), None, notes)


def make(*, weights: str = "", confirm: str = "", structure: str = "", device: str = "auto") -> MonaiPoints:
    """The engine. weights: id of an installed card (default: VISTA3D), or an absolute path of a bundle.

    confirm: SHA-256 of all files of a bundle that holds a program, by who knows its source; it runs in a worker only.
    structure: what the clicks are on, by the model's name or number, "new" for what it was not trained for; "" leaves it to the
    points. Raises InputError for a text that is none of these, ModelError for packages or a bundle that cannot be used.
    """
    from types import SimpleNamespace

    from OncoSegmentLib.experts.monai_bundle.source import model_of, require_packages
    from OncoSegmentLib.experts.nnunet.loading import device_of

    require_packages()
    if confirm and not SHA256.fullmatch(confirm):
        raise InputError("what is confirmed is no SHA-256; wanted its 64 letters and digits")
    chosen = device_of(SimpleNamespace(device=device))
    require_installed(weights or CARD)
    model = model_of(weights or CARD)
    bundle, structure = bundle_of(model, confirm, chosen), str(structure)  # a command line may have read a number
    if structure and structure != NEW:
        class_of(bundle, structure, 0)
    told = {"weights": weights or CARD, "confirm": confirm, "notice": notice_of(model)}
    return MonaiPoints(bundle, structure=structure, device=chosen, **told)


def require_installed(weights: str) -> None:
    """ModelError that says what to do, for a card that is not there."""
    from pathlib import Path

    from ModelManagerLib import store
    from ModelManagerLib.store_places import store_root
    from ModelManagerLib.work import card_named

    if not Path(weights).is_absolute() and store.state(card_named(weights, store_root())) == "missing":
        raise ModelError(
            f"the weights {weights} are not installed; `oncosegment models install {weights}` or the Model Manager"
            " brings them and shows their license; a folder of your own may be named, too (weights)"
        )


def notice_of(model) -> str:
    """What the reader must see before use."""
    if not model.card:
        return f"Weights {model.name}: what you may do with them stands in their own license."
    from ModelManagerLib.store_places import store_root
    from ModelManagerLib.work import card_named

    license = card_named(model.card, store_root()).license
    limit = " They may not be used commercially." if license.commercial is False else ""
    return f"Weights {model.card}: {license.title}.{limit}"
