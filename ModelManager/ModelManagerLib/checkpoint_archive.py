"""The zip archive around a checkpoint's pickle: what lies in it, before anything of it is used."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from typing import BinaryIO

from OncoLib.errors import ModelError

MOST_MEMBERS = 100_000
LARGEST_PICKLE = 64 << 20
"""Bytes; that of nnU-Net's own checkpoints is under 1 MB."""

MEMBER = re.compile(r"data\.pkl|data/[0-9]{1,9}|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id")
"""What `torch.save` writes, in one folder of any name (torch 1.6 to 2.13)."""

CODE = re.compile(r"(code/.*|constants\.pkl|model\.json)")
"""What only TorchScript archives hold."""


@dataclass(frozen=True)
class Archive:
    """pickle: the bytes of data.pkl. records: bytes of each storage by key. code: it holds TorchScript."""

    pickle: bytes
    records: dict[str, int]
    code: bool


def open_archive(stream: BinaryIO, file: str) -> Archive:
    """Reads the archive's table and its pickle; ModelError for anything that `torch.save` would not write."""
    stream.seek(0)
    start = stream.read(4)
    if start[:2] != b"PK":
        raise ModelError(f"{file} was not loaded: {what_it_is(start)}")
    size = stream.seek(0, 2)
    try:
        with zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if any(CODE.fullmatch(member.filename.partition("/")[2]) for member in members[:MOST_MEMBERS]):
                return Archive(b"", {}, code=True)  # a program; torch packs its notes for debugging, so sizes say nothing
            names = inner_names(members, size, file)
            return Archive(read_pickle(archive, names, file), records(names), code=False)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{file} was not loaded: the archive is damaged or incomplete") from error


def what_it_is(start: bytes) -> str:
    """For files that are no zip archive."""
    if start[:1] == b"\x80":
        return (
            "it is a bare pickle, or of a torch before 1.6, and such files run code when they are read; ask its publisher for"
            " safetensors or for a file that a newer torch saved"
        )
    return "it is no checkpoint of torch; damaged, or another kind of file"


def inner_names(members: list[zipfile.ZipInfo], size: int, file: str) -> dict[str, zipfile.ZipInfo]:
    """Members by name within the one folder that all lie in; refuses doubles, compression, encryption, strangers."""
    found: dict[str, zipfile.ZipInfo] = {}
    folded: set[str] = set()
    if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > size:
        raise ModelError(f"{file} was not loaded: its archive claims more than the file holds")
    for member in members:
        folder, slash, name = member.filename.partition("/")
        if not slash or folder != members[0].filename.partition("/")[0]:
            raise ModelError(f"{file} was not loaded: its archive does not lie in one folder as torch writes it")
        if name.casefold() in folded:
            raise ModelError(f"{file} was not loaded: its archive holds {name[:40]!r} twice")
        if member.flag_bits & 1 or member.compress_type != zipfile.ZIP_STORED:
            if not CODE.fullmatch(name):
                raise ModelError(f"{file} was not loaded: its archive is encrypted or compressed, which torch's files are not")
        found[name] = member
        folded.add(name.casefold())
    if not any(CODE.fullmatch(name) for name in found):
        refuse_strangers(found, file)
    return found


def refuse_strangers(found: dict[str, zipfile.ZipInfo], file: str) -> None:
    """Every member has a name that `torch.save` gives."""
    for name in found:
        if not MEMBER.fullmatch(name):
            raise ModelError(f"{file} was not loaded: its archive holds {name[:40]!r}, which is no part of a checkpoint")


def read_pickle(archive: zipfile.ZipFile, names: dict[str, zipfile.ZipInfo], file: str) -> bytes:
    """The bytes of data.pkl, checked against their CRC."""
    if "data.pkl" not in names:
        raise ModelError(f"{file} was not loaded: its archive holds no data.pkl, so it is no checkpoint of torch")
    if names["data.pkl"].file_size > LARGEST_PICKLE:
        raise ModelError(
            f"{file} was not loaded: its data.pkl has {names['data.pkl'].file_size} bytes; at most {LARGEST_PICKLE} wanted"
        )
    return archive.read(names["data.pkl"])


def records(names: dict[str, zipfile.ZipInfo]) -> dict[str, int]:
    """Bytes of each storage by its key."""
    return {name.removeprefix("data/"): member.file_size for name, member in names.items() if name.startswith("data/")}
