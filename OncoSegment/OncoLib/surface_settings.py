"""The parameters of a surface, with defaults and allowed ranges: one list for the command line, scripts and the panel."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from OncoLib.errors import InputError

SMOOTHINGS = ("sinc", "laplacian", "none")
FILE_FORMATS = ("stl", "ply", "obj")
FRAMES = ("LPS", "RAS")
"""Patient frames of a file; the first is what Slicer writes."""

DESCRIPTION = "surfaces.json"
"""File that says what is what, beside the surfaces."""


@dataclass(frozen=True)
class SurfaceParameter:
    """One parameter. lowest, highest: inclusive range of a number; choices: of a word; a switch has neither.

    used_with: the smoothings in which it plays a part.
    """

    name: str
    title: str
    default: float | int | str | bool
    lowest: float | int | None = None
    highest: float | int | None = None
    choices: tuple[str, ...] = ()
    used_with: tuple[str, ...] = SMOOTHINGS
    hint: str = ""


PARAMETERS = (
    SurfaceParameter(
        "smoothing",
        "Smoothing",
        "sinc",
        choices=SMOOTHINGS,
        hint="sinc: low-pass filter that keeps the volume; laplacian: simple averaging, shrinks; none: as the voxels are",
    ),
    SurfaceParameter(
        "iterations",
        "Iterations",
        20,
        1,
        200,
        used_with=("sinc", "laplacian"),
        hint="more is smoother; 20 are usual",
    ),
    SurfaceParameter(
        "pass_band",
        "Pass band",
        0.1,
        0.0001,
        2.0,
        used_with=("sinc",),
        hint="lower is smoother: 0.1 takes away voxel steps, 0.01 rounds small structures",
    ),
    SurfaceParameter(
        "relaxation",
        "Relaxation",
        0.1,
        0.01,
        0.5,
        used_with=("laplacian",),
        hint="how far each point moves toward its neighbors' mean in one iteration",
    ),
    SurfaceParameter(
        "decimation",
        "Decimation",
        0.0,
        0.0,
        0.99,
        hint="share of the triangles to take away; the topology stays as it is",
    ),
    SurfaceParameter(
        "keep_volume",
        "Keep volume",
        False,
        hint="moves the finished surface along its normals until it holds the voxel sum",
    ),
)


def surface_parameters() -> tuple[SurfaceParameter, ...]:
    """All parameters of a surface, in the order in which a panel shows them."""
    return PARAMETERS


def default_of(name: str) -> float | int | str | bool:
    """Default of one parameter."""
    return next(parameter.default for parameter in PARAMETERS if parameter.name == name)


@dataclass(frozen=True)
class SurfaceSettings:
    """How surfaces are made; see `surface_parameters`. Raises InputError for a value outside of its range."""

    smoothing: str = default_of("smoothing")
    iterations: int = default_of("iterations")
    pass_band: float = default_of("pass_band")
    relaxation: float = default_of("relaxation")
    decimation: float = default_of("decimation")
    keep_volume: bool = default_of("keep_volume")

    def __post_init__(self) -> None:
        for parameter in PARAMETERS:
            check(parameter, getattr(self, parameter.name))

    def as_dict(self) -> dict:
        """JSON-ready: what plays a part in this smoothing."""
        used = {parameter.name for parameter in PARAMETERS if self.smoothing in parameter.used_with}
        return {name: value for name, value in asdict(self).items() if name in used}


def check(parameter: SurfaceParameter, value) -> None:
    """Raises InputError unless the value is of the parameter's kind and inside its range."""
    if parameter.choices:
        if value not in parameter.choices:
            raise InputError(f"{parameter.name} is {value!r}; wanted one of {', '.join(parameter.choices)}")
    elif isinstance(parameter.default, bool):
        if not isinstance(value, bool):
            raise InputError(f"{parameter.name} is {value!r}; wanted true or false")
    elif isinstance(value, bool) or not isinstance(value, int if isinstance(parameter.default, int) else (int, float)):
        kind = "a whole number" if isinstance(parameter.default, int) else "a number"
        raise InputError(f"{parameter.name} is {value!r}; wanted {kind}")
    elif not parameter.lowest <= value <= parameter.highest:
        raise InputError(f"{parameter.name} is {value:g}; wanted {parameter.lowest:g} to {parameter.highest:g}")
