"""The engines of click refinement by name. Each is loaded on first use, so that naming them costs no import."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import asdict, dataclass
from types import ModuleType

from OncoLib.errors import InputError, ModelError, OncoError
from OncoSegmentLib.refine.protocol import Capabilities, Engine

AI = 'in a clone of OncoSegment: pip install ".[ai]"'
SAM = 'in a clone of OncoSegment, where PyTorch is: SAM2_BUILD_CUDA=0 pip install --no-build-isolation ".[sam]"'


@dataclass(frozen=True)
class Row:
    """One engine.

    module: has `make(**options)`, and may have `CAPABILITIES`, those of an engine made without options. needs: packages by
    the name of their import. get: what installs them. takes_gpu: whether a job that asks it is given one.
    """

    title: str
    module: str
    summary: str
    needs: tuple[str, ...] = ()
    get: str = ""
    takes_gpu: bool = False


ENGINES = {
    "growcut": Row(
        "GrowCut", "OncoSegmentLib.refine.growcut", "grows regions from clicks by intensity; needs no model"
    ),
    "sam": Row(
        "SAM", "OncoSegmentLib.refine.sam.engine",
        "SAM 2.1, MedSAM and relatives, from slice to slice; demonstration weights, never for patients, unless model=ID is given",
        ("torch", "sam2"), SAM, True,
    ),
    "nninteractive": Row(
        "nnInteractive", "OncoSegmentLib.refine.nninteractive.engine", "any structure in 3D by a network; not for commercial use",
        ("nnInteractive",), 'in a clone of OncoSegment: pip install ".[nninteractive]"', True,
    ),
    "vista3d": Row(
        "VISTA3D", "OncoSegmentLib.refine.monai_points.engine", "MONAI bundles that take points, such as VISTA3D",
        ("torch", "monai"), AI, True,
    ),
}  # fmt: skip

DEFAULT = "growcut"


def row(name: str) -> Row:
    """The engine of that name; InputError naming those there are."""
    if name not in ENGINES:
        raise InputError(f"there is no engine {name!r}; wanted one of {', '.join(ENGINES)}")
    return ENGINES[name]


def missing(name: str) -> str:
    """One sentence when an engine cannot be used here, with what installs it; "" when it can."""
    wanted = row(name)
    lacking = [one for one in wanted.needs if importlib.util.find_spec(one) is None]
    if lacking:
        return f"the engine {name!r} needs the package {lacking[0]}, which is not installed; {wanted.get}"
    return "" if there_is(wanted.module) else f"the engine {name!r} is no part of this OncoSegment; install a newer one"


def there_is(module: str) -> bool:
    """True when a module of ours can be imported; it is not imported for it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the folder above
        return False


def make(name: str, **options) -> Engine:
    """An engine; ModelError with one sentence when it is not installed, InputError for options that it does not take."""
    return made(loaded(name), name, options)


def loaded(name: str) -> ModuleType:
    """The file of an engine."""
    lacks = missing(name)
    if lacks:
        raise ModelError(lacks)
    try:
        return importlib.import_module(row(name).module)
    except ImportError as error:
        raise ModelError(
            f"the engine {name!r} cannot be loaded: {error.name or 'a package'} is missing; {row(name).get}"
        ) from error


def made(module: ModuleType, name: str, options: dict) -> Engine:
    """An engine of a module; InputError for an option that its `make` does not know."""
    import inspect

    known = inspect.signature(module.make).parameters
    open_ended = any(one.kind is one.VAR_KEYWORD for one in known.values())
    strange = [option for option in options if option not in known]
    if strange and not open_ended:
        told = ", ".join(known) or "none"
        raise InputError(f"the engine {name!r} has no option {strange[0]!r}; its options: {told}")
    return module.make(**options)


def stated(name: str) -> Capabilities | None:
    """What the file of an engine says of every engine that it makes; None when that depends on options, or it cannot be read.

    Packages of the engine need not be here: the workers that run it may have them.
    """
    if not there_is(row(name).module):
        return None
    try:
        return getattr(importlib.import_module(row(name).module), "CAPABILITIES", None)
    except ImportError:
        return None


def capabilities(name: str, **options) -> Capabilities:
    """What an engine can do, as far as it can be known before it has seen an image. Raises as `make`."""
    module = loaded(name)
    stated = getattr(module, "CAPABILITIES", None)
    if stated is not None and not options:
        return stated
    engine = made(module, name, options)
    try:
        return engine.capabilities
    finally:
        engine.close()


def listed() -> list[dict]:
    """All engines for a command line or a panel: name, title, summary, missing ("" when usable), capabilities or None."""
    found = []
    for name, one in ENGINES.items():
        lacks, able = missing(name), None
        if not lacks:
            try:
                able = asdict(capabilities(name))
            except OncoError as error:  # such as weights that must be chosen first
                lacks = str(error)
        found.append({"name": name, "title": one.title, "summary": one.summary, "missing": lacks, "capabilities": able})
    return found
