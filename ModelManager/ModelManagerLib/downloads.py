"""How this user's downloads are done: the environment first, then the entry "transfer" of the setting file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ModelManagerLib.store_places import stored_settings
from ModelManagerLib.transfer_settings import TransferSettings
from OncoLib.errors import InputError


def user_transfer_settings(
    environ: Mapping[str, str] = os.environ, settings: Path | None = None, *, offline: bool = False
) -> TransferSettings:
    """Settings of a download. offline: nothing is fetched, whatever else is set. InputError names what cannot be used."""
    stored = stored_settings(settings).get("transfer", {})
    if not isinstance(stored, dict):
        raise InputError("settings.json: the entry 'transfer' is no table of settings; correct it or remove it")
    found = TransferSettings.from_environment(environ, stored)
    return replace(found, offline=True) if offline else found
