"""The sets of packages that OncoSegment can bring: what each is for, what it wants, and where it belongs."""

from __future__ import annotations

from dataclasses import dataclass

from OncoLib.errors import InputError

ISOLATED, HOST, SLICER = "isolated", "host", "slicer"
MISSING, DAMAGED, OUTDATED = "missing", "damaged", "outdated"


@dataclass(frozen=True)
class RuntimeSet:
    """One set.

    requirements: what the host must have for the set to count as there, as in pyproject.toml. kinds: where it may go, the
    preferred one first. locked: lock files name its exact files. modules: what is imported to see that it works, by
    distribution. reason: why it goes there. space_bytes: of its wheels and files together, for the look at the disk.
    """

    name: str
    title: str
    requirements: tuple[str, ...]
    kinds: tuple[str, ...]
    locked: bool
    modules: dict[str, str]
    reason: str
    space_bytes: int


SETS = {
    one.name: one
    for one in (
        RuntimeSet(
            "registration",
            "Registration (ANTs)",
            ("antspyx>=0.6.3,<0.7",),
            (ISOLATED, HOST),
            locked=True,
            modules={"antspyx": "ants", "numpy": "numpy", "scipy": "scipy"},
            reason="ANTs wants an older NumPy and SciPy than Slicer brings, so it goes to a folder that only workers use",
            space_bytes=720_000_000,
        ),
        RuntimeSet(
            "engine",
            "Parallel work and clusters (Dask)",
            ("dask>=2026.3", "distributed>=2026.3", "cryptography>=42", "psutil>=5.9"),
            (HOST,),
            locked=True,
            modules={"dask": "dask", "distributed": "distributed", "cryptography": "cryptography", "psutil": "psutil"},
            reason="the program itself talks to the workers with it, and nothing in it changes another package",
            space_bytes=60_000_000,
        ),
        RuntimeSet(
            "segmentation",
            "Segmentation by networks (PyTorch)",
            (
                "torch>=2.8,!=2.9.*",
                "totalsegmentator>=2.18,<2.19",
                "nnunetv2>=2.8.1,<2.9",
                "monai>=1.6.1,<1.7",
                "pytorch-ignite>=0.5",
                "safetensors>=0.4",
            ),
            (HOST,),
            locked=False,
            modules={"torch": "torch", "totalsegmentator": "totalsegmentator", "nnunetv2": "nnunetv2", "monai": "monai"},
            reason="PyTorch comes in the build that fits the graphics card, shared with other extensions",
            space_bytes=8_000_000_000,
        ),
    )
}


def set_named(name: str) -> RuntimeSet:
    """The set of that name; InputError names those there are."""
    if name not in SETS:
        raise InputError(f"no set of packages {name!r}; there are {', '.join(SETS)}")
    return SETS[name]


def chosen_kind(one: RuntimeSet, kind: str | None) -> str:
    """`ISOLATED` or `HOST` for what was asked; "slicer" is the host's name inside Slicer. InputError when it cannot be."""
    wanted = HOST if kind == SLICER else kind or one.kinds[0]
    if wanted not in (ISOLATED, HOST):
        raise InputError(f"--kind is {kind!r}; wanted {ISOLATED}, {HOST} or {SLICER}")
    if wanted not in one.kinds:
        raise InputError(f"{one.name} cannot be {kind}: {one.reason}")
    return wanted
