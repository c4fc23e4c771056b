"""One way to register a pair with any engine: copies, a rigid stage first, the chosen engine from there.

SimpleITK comes along. ANTs, elastix and greedy are packages of their own that bring other versions of NumPy, or have crashed
in tests of ours: they run in a process of their own, see `external`, and get the moving image already turned by the rigid
stage. So none of them can begin in a wrong minimum, and what they find is applied before that rigid part.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from OncoLib.errors import InputError, ModelError
from OncoLib.image import Image
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.registration import simple_itk_kinds
from OncoLib.registration.preparing import mask_on, prepared, settings_of
from OncoLib.registration.presets import KINDS, Preset, offered
from OncoLib.registration.simple_itk import Settings
from OncoLib.registration.transform import Registration

DETERMINISTIC, FAST = "deterministic", "fast"
MODES = (DETERMINISTIC, FAST)
FAST_TOLERANCE_MM = 0.5
"""By how much two runs of the fast mode may differ at any landmark: sums over threads come in another order each time. The
benchmark prints the spread of ten runs."""


@dataclass(frozen=True)
class Engine:
    """One engine. kinds: what it can find. package: distribution to be installed, "" for what comes along; module: to import;
    bring: how it is brought.
    """

    id: str
    title: str
    kinds: tuple[str, ...]
    package: str = ""
    module: str = ""
    bring: str = ""


ENGINES = {
    one.id: one
    for one in (
        Engine("simpleitk", "SimpleITK", KINDS),
        Engine("ants", "ANTs", KINDS, "antspyx", "ants", "`oncosegment runtime install registration` brings it"),
        Engine("elastix", "elastix", KINDS, "itk-elastix", "itk", "`pip install itk-elastix` brings it"),
        Engine("greedy", "greedy", KINDS, "picsl_greedy", "picsl_greedy", "`pip install picsl_greedy` brings it"),
    )
}


def require(engine: Engine, worker_path: Sequence[str] = ()) -> None:
    """ModelError when the engine's package lies neither in one of these folders nor in this Python; nothing is imported."""
    names = (name for folder in worker_path if os.path.isdir(folder) for name in os.listdir(folder))
    if engine.package and not any(name.split(".")[0] == engine.module for name in names):
        if importlib.util.find_spec(engine.module) is None:
            raise ModelError(f"{engine.title} is not installed here; {engine.bring}")


@dataclass(frozen=True)
class Choice:
    """What was asked for. mode: `DETERMINISTIC` (one thread, seeded: bit for bit the same on one machine) or `FAST` (all cores).

    worker_path: folders that come first on the import path of an external engine's process; () for this Python's own.
    """

    preset: Preset
    kind: str = "rigid"
    engine: str = "simpleitk"
    mode: str = DETERMINISTIC
    seed: int = Settings.seed
    worker_path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        offered(self.preset, self.kind)
        if self.engine not in ENGINES:
            raise InputError(f"no registration engine {self.engine!r}; there are {', '.join(ENGINES)}")
        if self.kind not in ENGINES[self.engine].kinds:
            raise InputError(f"{self.engine} finds no {self.kind!r}; it finds {', '.join(ENGINES[self.engine].kinds)}")
        if self.mode not in MODES:
            raise InputError(f"the mode is {self.mode!r}; wanted {' or '.join(MODES)}")

    @property
    def threads(self) -> int:
        """1, or one a core."""
        return 1 if self.mode == DETERMINISTIC else os.cpu_count() or 1

    @property
    def settings(self) -> Settings:
        """Of the rigid stage."""
        return settings_of(self.preset, threads=self.threads, seed=self.seed)

    def as_dict(self) -> dict:
        """For provenance; where packages lie is this machine's affair."""
        facts = {name: getattr(self, name) for name in ("kind", "engine", "mode", "seed", "threads")}
        return {**facts, "preset": self.preset.as_dict()}


def register(
    fixed: Image,
    moving: Image,
    choice: Choice,
    *,
    masks: Sequence[np.ndarray | None] = (None, None),
    exclude: np.ndarray | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Registration:
    """Where the fixed image's points lie in the moving image.

    masks: bool `[k, j, i]` on the grids of the fixed and the moving image, of what counts (a brain mask); None for all.
    exclude: bool `[k, j, i]` on the fixed image's grid, of what a deformation must not be led by: lesions, cavities.
    Raises GeometryError for images that cannot be registered, ModelError for an engine that is not installed, Cancelled.
    """
    cancel = cancel or CancelToken()
    progress(0.0, "Preparing")
    copies = []
    for number, (image, mask) in enumerate(zip((fixed, moving), masks)):
        copies.append(prepared(image, choice.preset, mask=mask, threads=choice.threads, cancel=cancel))
        progress(0.1 * (number + 1), "Preparing")
    excluded = None if exclude is None or not exclude.any() else mask_on(copies[0], fixed, exclude)
    rest = part_of(progress, 0.2, 1.0)
    if choice.engine == "simpleitk":
        found = simple_itk_kinds.register(
            *copies, choice.kind, settings=choice.settings, mesh_mm=choice.preset.mesh_mm, exclude=excluded, progress=rest,
            cancel=cancel,
        )  # fmt: skip
    else:
        from OncoLib.registration.external import register as externally

        found = externally(*copies, choice, exclude=excluded, progress=rest, cancel=cancel)
    return replace(found, parameters={**found.parameters, **choice.as_dict()})
