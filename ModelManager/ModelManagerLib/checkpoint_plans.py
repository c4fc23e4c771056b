"""What an nnU-Net model folder's plans.json may name: nnU-Net imports whatever class stands there.

`nnunetv2.utilities.get_network_from_plans` (2.8) locates `network_class_name` and every argument listed in
`_kw_requires_import` by their dotted names, from any module that Python finds. Weights without code need plans without
strange classes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ModelManagerLib.predict import read_json
from OncoLib.errors import ModelError

PLAIN_NAME = re.compile(
    r"(?:torch\.nn(?:\.modules\.[a-z]+)?|dynamic_network_architectures\.(?:architectures|building_blocks)\.[a-z0-9_]+)\.[A-Z]\w*"
)
"""Networks and layers of nnU-Net's own plans: a class, directly in one of their modules. A longer name could lead on into
what such a module imported itself."""


def require_plain_plans(folder: Path, *, trusted: tuple[str, ...] = ()) -> None:
    """ModelError naming the first class of the folder's plans.json that is neither nnU-Net's nor torch's own layer.

    trusted: more dotted names, for models whose package brings its own network.
    """
    try:
        names = list(imported_names(read_json(Path(folder) / "plans.json")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{Path(folder).name}: its plans.json cannot be read ({type(error).__name__})") from error
    for name in names:
        if not isinstance(name, str) or not (PLAIN_NAME.fullmatch(name) or name in trusted):
            raise ModelError(
                f"{Path(folder).name} was not loaded: its plans.json names {str(name)[:80]!r}, which is no network or layer of"
                " nnU-Net; get the model from its publisher again"
            )


def imported_names(plans: dict) -> Iterator[object]:
    """Every value that nnU-Net takes for the dotted name of something to import. Old plans, without any, give none."""
    for configuration in plans["configurations"].values():
        architecture = configuration.get("architecture")
        if architecture is None:
            continue
        yield architecture["network_class_name"]
        arguments = architecture.get("arch_kwargs") or {}
        yield from (arguments[key] for key in architecture.get("_kw_requires_import") or () if arguments.get(key) is not None)
