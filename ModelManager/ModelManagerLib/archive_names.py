"""Which names inside an archive may become files here: on every system, whatever the archive was made on."""

from __future__ import annotations

import unicodedata

from OncoLib.file_names import DEVICES

LONGEST_NAME_BYTES = 255
"""Of one name in UTF-8: what ext4, APFS and NTFS hold (NTFS counts 255 UTF-16 units, never more than the bytes)."""

LONGEST_PATH_BYTES = 1024
"""Of a whole path below the store, far under what Linux and macOS take."""

RESERVED_SIGNS = frozenset('<>:"|?*\\')
"""Signs that Windows allows in no name (Microsoft, "Naming Files, Paths, and Namespaces"); `:` is also the drive's."""

JUNK_FOLDERS = frozenset(["__MACOSX", "__pycache__"])
JUNK_NAMES = frozenset([".DS_Store", "Thumbs.db", "desktop.ini"])


def is_junk(name: str) -> bool:
    """True for what macOS and Windows add on their own: it is never unpacked."""
    parts = name.rstrip("/").split("/")
    return parts[0] == "__MACOSX" or not JUNK_FOLDERS.isdisjoint(parts) or parts[-1] in JUNK_NAMES or parts[-1].startswith("._")


def problem_of_name(name: str, deepest: int) -> str:
    """Why this name cannot become a file below a folder, as the end of a sentence; "" when it can.

    name: as it stands in the archive, with `/` between its parts and at most one at its end. deepest: most parts.
    """
    text = name[:-1] if name.endswith("/") else name
    if text.startswith(("/", "\\")):
        return "is an absolute path"
    if len(text) > 1 and text[1] == ":":
        return "begins with a drive letter"
    if len(text.encode("utf-8", "surrogatepass")) > LONGEST_PATH_BYTES:
        return f"is longer than {LONGEST_PATH_BYTES} bytes"
    parts = text.split("/")
    if len(parts) > deepest:
        return f"lies {len(parts)} levels deep; at most {deepest} are allowed"
    return next((problem for part in parts if (problem := _problem_of_part(part))), "")


def _problem_of_part(part: str) -> str:
    """The same for one part of a path."""
    if part in ("", ".", ".."):
        return "leads out of its folder" if part == ".." else "has an empty part"
    if any(unicodedata.category(sign) in ("Cc", "Cs", "Cf", "Zl", "Zp") for sign in part):
        return "holds a control character"
    if not RESERVED_SIGNS.isdisjoint(part):
        return "holds a sign that Windows reserves or a backslash"
    if part[-1] in ". " or part[0] == " ":
        return "begins with a space or ends with a dot or a space"
    if part.split(".")[0].rstrip().upper() in DEVICES:
        return "is a device name of Windows"
    if len(part.encode("utf-8")) > LONGEST_NAME_BYTES:
        return f"has a part longer than {LONGEST_NAME_BYTES} bytes"
    return ""


class Names:
    """Names given out so far, to refuse two that any usual file system takes for one."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: dict[str, str] = {}

    def problem_of_adding(self, name: str, *, folder: bool) -> str:
        """Takes the name in; why it collides with an earlier one, as the end of a sentence, "" when it does not."""
        parts = name.rstrip("/").split("/")
        above = parts if folder else parts[:-1]
        for depth in range(1, len(above) + 1):
            path = "/".join(above[:depth])
            key = same_file_key(path)
            if key in self._files:
                return "is a folder and a file at once"
            if self._folders.setdefault(key, path) != path:
                return "differs from another name only in capitals or in composed letters"
        if folder:
            return ""
        key = same_file_key(name)
        if key in self._folders:
            return "is a folder and a file at once"
        if key in self._files:
            return "is there twice, perhaps with other capitals or composed letters"
        self._files.add(key)
        return ""


def same_file_key(name: str) -> str:
    """Equal for names that one of the usual file systems takes for the same (case, composition)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def shown(name: str) -> str:
    """The name as it can stand in a message: short, printable, on one line."""
    text = "".join(sign if sign.isprintable() else "?" for sign in name)
    return repr(text if len(text) <= 60 else f"{text[:40]}...{text[-15:]}")
