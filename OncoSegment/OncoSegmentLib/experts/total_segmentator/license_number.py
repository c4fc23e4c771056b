"""The license number that some of TotalSegmentator's tasks need: read where it is kept safe, never stored by us."""

from __future__ import annotations

import os
from collections.abc import Mapping

from OncoLib.errors import ModelError

VARIABLE = "TOTALSEG_LICENSE_NUMBER"
KEYRING_SERVICE, KEYRING_USER = "oncosegment", "totalsegmentator"
CHARACTERS = 18
"""Length that the package checks without a network (`config.has_valid_license_offline`, 2.18)."""

LICENSE_PAGE = "https://backend.totalsegmentator.com/license-academic/"
"""As the package names it (`python_api.show_license_info`, 2.18)."""


def find_license_number(environ: Mapping[str, str] = os.environ) -> str:
    """The number from the environment variable, else from the system's keyring; "" when there is none."""
    return environ.get(VARIABLE, "").strip() or _from_keyring()


def _from_keyring() -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return ""
    try:
        return (keyring.get_password(KEYRING_SERVICE, KEYRING_USER) or "").strip()
    except KeyringError:
        return ""


def require_license_number(task: str, environ: Mapping[str, str] = os.environ) -> str:
    """The number; ModelError that says how to get and keep one. The number itself is in no message."""
    number = find_license_number(environ)
    if not number:
        raise ModelError(
            f"TotalSegmentator's task {task!r} needs a license number (free for non-commercial use: {LICENSE_PAGE}). Keep it"
            f" in the keyring (`keyring set {KEYRING_SERVICE} {KEYRING_USER}`) or in the environment variable {VARIABLE}"
        )
    if len(number) != CHARACTERS:
        raise ModelError(f"the TotalSegmentator license number has {len(number)} characters; wanted {CHARACTERS}")
    return number
