"""A bundle that takes points: what of its configuration is run, and what it may do.

The convention is VISTA3D's (Project-MONAI/model-zoo, models/vista3d, configs/inference.json, scripts/inferer.py and
scripts/evaluator.py; MONAI 1.6.1, monai.apps.vista3d): the inferer gets `point_coords` [1, n, 3] in voxels of
the prepared image, `point_labels` [1, n] (0 negative, 1 positive; 2 and 3 for classes that look like others), and a class or
none. Of its scripts only the inferer matters for that, and it does what is written here with MONAI's own functions; so such a
bundle runs without running code of it. Any other inferer runs once the user confirmed the bundle, in a worker only.
"""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass

from OncoLib.errors import InputError, ModelError
from OncoSegmentLib.experts.monai_bundle import allowed, config, recipe, trust, weights
from OncoSegmentLib.experts.monai_bundle.facts import Model, plain_text
from OncoSegmentLib.experts.monai_bundle.plain import TARGET

KNOWN_INFERER, LABEL_STEP = "Vista3dInferer", "VistaPreTransform"
SPECIAL = (25, 26, 27, 28, 29, 117)
"""Classes whose points have labels 2 and 3, where the configuration names none (default of MONAI's `VistaPreTransformd`)."""

NEW = "new"
"""Names a structure that the model was not trained for: points alone say what it is (`zero-shot`)."""

WITHOUT_CLASS = 0


@dataclass(frozen=True)
class PointBundle:
    """A bundle as it will run. roi `(i, j, k)`: voxels of one look; point_window: looks only around the points.

    special, parts: classes with labels of their own for points, and classes that stand for several others.
    """

    recipe: recipe.Recipe
    roi: tuple[int, int, int]
    overlap: float
    point_window: bool
    special: tuple[int, ...]
    parts: tuple[int, ...]

    @property
    def model(self) -> Model:
        """Its facts."""
        return self.recipe.model


def bundle_of(model: Model, confirm: str, device: str, copied: bool = False) -> PointBundle:
    """Reads and checks what a bundle asks for; nothing of it is made.

    confirm: SHA-256 of all files of the bundle, by who knows its source. copied: the model lies in a `trust.private_bundle` that
    was made for this hash. Raises ModelError for one that takes no points, or holds a program that was not confirmed.
    """
    if model.kind != "bundle":
        raise ModelError(f"{model.name} takes no points: it is an Auto3DSeg model")
    path = config.config_file(model.folder)
    document, sha256 = config.read(path)
    found = config.from_memory(document, model.folder, device)
    inferer = config.followed(found.data, found.data.get(config.INFERER))
    steps = label_steps(found.data)
    plain = trust.plain(found, model.folder, device)
    known = isinstance(inferer, dict) and allowed.base_name(str(inferer.get(TARGET))) == KNOWN_INFERER
    if not known and not confirm and is_plain(plain):
        raise ModelError(f"{model.name} takes no points; wanted a bundle like VISTA3D, whose inferer gets them")
    needed = tuple(name for name in found.entries if name != config.AFTER and not (known and name == config.INFERER))
    confirmed = trust.confirms(model.folder, confirm, lambda: plain.check(needed), copied)
    named = (lambda: plain.get(config.WEIGHTS)) if config.WEIGHTS in found.data else lambda: ""
    file = weights.weights_file(model.folder, named)
    if file.suffix == ".ts" or config.NETWORK not in found.data:
        raise ModelError(f"{model.name}: it names no network that takes points (network_def)")
    about = model.folder / "configs" / "metadata.json"
    read = {path: sha256, about: model.sha256}
    made = recipe.Recipe(model, found, file, (file, path, about), confirmed, True, document=document, read=read)
    return PointBundle(made, *looks(found.data, inferer, model.name), *classes(found.data, steps))


def is_plain(entries) -> bool:
    """True when the inferer is one of MONAI's own that are known."""
    from OncoSegmentLib.experts.monai_bundle.expressions import NotPlain

    try:
        entries.check([config.INFERER])
    except NotPlain:
        return False
    return True


def label_steps(data: dict) -> list[dict]:
    """Takes the step that looks at prompts, not at the image, out of the preprocessing; what it said of classes."""
    found = [one for one in config.transforms(data, config.BEFORE) if allowed.base_name(str(one.get(TARGET))) == LABEL_STEP]
    told = [dict(one) for one in found]
    for one in found:
        config.switch_off(one)
    return told


def looks(data: dict, inferer, name: str) -> tuple[tuple[int, int, int], float, bool]:
    """Window, overlap and way of the inferer; ModelError for a window that is none."""
    values = {key: config.followed(data, value) for key, value in inferer.items()} if isinstance(inferer, dict) else {}
    try:
        roi = tuple(int(one) for one in values["roi_size"])
        overlap = float(values.get("overlap", 0.25))
        whole = len(roi) == 3 and min(roi) > 0 and 0 <= overlap < 1
    except (KeyError, TypeError, ValueError):
        whole = False
    if not whole:
        raise ModelError(f"{name}: its inferer does not say how large one look is (roi_size)")
    return roi, overlap, values.get("use_point_window") is True


def classes(data: dict, steps: list[dict]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Classes with labels of their own for points, and those that stand for several others."""
    special = next((config.followed(data, one["special_index"]) for one in steps if "special_index" in one), SPECIAL)
    parts = next((config.followed(data, one["subclass"]) for one in steps if "subclass" in one), {})
    special = tuple(one for one in special if isinstance(one, int)) if isinstance(special, (list, tuple)) else SPECIAL
    return special, tuple(int(key) for key in parts if str(key).isdecimal()) if isinstance(parts, dict) else ()


def class_of(bundle: PointBundle, structure: str, last_supported: int) -> int:
    """The class that a name or number means; `WITHOUT_CLASS` for "", one above the supported ones for "new".

    InputError for a name that the model does not know, or that stands for several structures.
    """
    if not structure:
        return WITHOUT_CLASS
    if structure == NEW:
        return last_supported + 1
    names = {output.name.casefold(): output.head for output in bundle.model.outputs}
    found = names.get(structure.casefold(), int(structure) if structure.isdecimal() else 0)
    if found not in names.values():
        some = ", ".join(list(names)[:4])
        told = f"{bundle.model.name} knows no structure {plain_text(structure)!r}"
        raise InputError(f"{told}; wanted one of its names ({some}, ...) or {NEW}")
    if found in bundle.parts:
        told = f"{bundle.model.name} takes no clicks for {plain_text(structure)!r}"
        raise InputError(f"{told}, which stands for several; name one of them")
    return found


@functools.lru_cache(maxsize=1)
def known_inferer():
    """VISTA3D's inferer by MONAI's own functions."""
    from monai.apps.vista3d.inferer import point_based_window_inferer
    from monai.inferers import sliding_window_inference

    def infer(bundle: PointBundle, image, network, points, labels, class_vector):
        way = point_based_window_inferer if bundle.point_window else sliding_window_inference
        supported = class_vector is not None and int(class_vector.max()) <= network.point_head.last_supported
        return way(
            inputs=image,
            roi_size=bundle.roi,
            sw_batch_size=1,
            predictor=network,
            mode="gaussian",
            overlap=bundle.overlap,
            transpose=True,
            point_coords=points,
            point_labels=labels,
            class_vector=class_vector if supported else None,
            prompt_class=class_vector,
        )

    return infer


def inferer_of(bundle: PointBundle, entries):
    """What answers points, `(bundle, image, network, points, labels, class_vector) -> logits`; ModelError for what takes none."""
    if not bundle.recipe.confirmed:
        return known_inferer()
    own = entries.get(config.INFERER)
    names = set(inspect.signature(own.__call__).parameters)
    if not {"point_coords", "point_labels"} <= names:
        raise ModelError(f"{bundle.model.name} takes no points: its inferer asks for {', '.join(sorted(names)[:6])}")

    def infer(_bundle, image, network, points, labels, class_vector):
        return own(inputs=image, network=network, point_coords=points, point_labels=labels, class_vector=class_vector)

    return infer
