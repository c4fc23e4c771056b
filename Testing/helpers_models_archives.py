"""Archives made by code: honest ones of several models, and hostile ones that must never be unpacked.

The hostile zips are written with `zipfile` where it can write them, and changed in their bytes where it refuses to; the
field offsets are those of PKWARE's APPNOTE.TXT.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ModelManagerLib.catalog import FileFact, LicenseFacts, ModelCard, Source

CENTRAL, LOCAL = b"PK\x01\x02", b"PK\x03\x04"


def noise(size: int, seed: int = 0) -> bytes:
    """Bytes that cannot be packed, as weights cannot."""
    return np.random.default_rng(seed).bytes(size)


def zip_of(path: Path, files: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    """A plain zip; names that end with a slash are folders."""
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, content in files.items():
            opened.writestr(zipfile.ZipInfo(name, (2026, 1, 2, 3, 4, 6)), content, method)
    return path


def tar_of(path: Path, files: dict[str, bytes]) -> Path:
    """A plain gzipped tar."""
    with tarfile.open(path, "w:gz") as opened:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            opened.addfile(member, io.BytesIO(content))
    return path


def checkpoint(size: int = 2000, seed: int = 0, weights: bytes = b"") -> bytes:
    """A file with the frame of a torch checkpoint: a stored zip with the pickle of an empty dict, and noise or `weights`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as opened:
        for name, content in (("archive/data.pkl", pickle.dumps({}, 2)), ("archive/version", b"3\n")):
            opened.writestr(zipfile.ZipInfo(name), content)
        opened.writestr(zipfile.ZipInfo("archive/data/0"), weights or noise(size, seed))
    return buffer.getvalue()


TRAINING = "nnUNetTrainer__nnUNetPlans__3d_fullres"


def nnunet_files(size: int = 2000, seed: int = 0, weights: bytes = b"") -> dict[str, bytes]:
    """Files of one nnU-Net model, relative to its dataset folder."""
    plans = {"dataset_name": "Dataset999", "plans_name": "nnUNetPlans", "configurations": {"3d_fullres": {}}}
    dataset = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
    return {
        f"{TRAINING}/plans.json": json.dumps(plans).encode(),
        f"{TRAINING}/dataset.json": json.dumps(dataset).encode(),
        f"{TRAINING}/fold_0/checkpoint_final.pth": checkpoint(size, seed, weights),
    }


def bundle_files(size: int = 2000, seed: int = 0) -> dict[str, bytes]:
    """Files of one MONAI bundle, relative to its folder."""
    metadata = {"version": "0.1.0", "name": "tiny bundle", "network_data_format": {"inputs": {}, "outputs": {}}}
    return {
        "configs/metadata.json": json.dumps(metadata).encode(),
        "configs/inference.json": b"{}",
        "models/model.pt": checkpoint(size, seed),
        "LICENSE": b"Apache-2.0\n",
    }


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    """The same files one folder deeper."""
    return {f"{folder}/{name}": content for name, content in files.items()}


# ------------------------------------------------------------------------------------------------ hostile ones


def _named(*names: str) -> Callable[[Path], None]:
    """A zip with these entries after an honest one; names are written as they are."""

    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as opened:
            opened.writestr("good.txt", b"good")
            for name in names:
                info = zipfile.ZipInfo("x" * len(name.encode()))
                info.filename = name  # past the constructor, which cleans names
                opened.writestr(info, b"bad" if not name.endswith("/") else b"")

    return make


def _mode(mode: int, name: str = "entry") -> Callable[[Path], None]:
    """A zip with one entry of that Unix mode."""

    def make(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as opened:
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            opened.writestr(info, b"/etc/passwd")

    return make


def _patched(files: dict[str, bytes], change: Callable[[bytearray], bytes | None], method: int = zipfile.ZIP_DEFLATED):
    """A zip whose bytes are changed afterwards."""

    def make(path: Path) -> None:
        data = bytearray(zip_of(path, files, method=method).read_bytes())
        path.write_bytes(change(data) or bytes(data))

    return make


def _both(data: bytearray, local: int, central: int, form: str, value: int) -> None:
    """Writes one field into the first local header and the first row of the list of contents."""
    struct.pack_into(form, data, data.index(LOCAL) + local, value)
    struct.pack_into(form, data, data.index(CENTRAL) + central, value)


def _null(data: bytearray) -> bytes:
    return bytes(data).replace(b"aQQb", b"a\0b.")


def _encrypted(data: bytearray) -> None:
    _both(data, 6, 8, "<H", 1)


def _says_less(data: bytearray) -> None:
    """States 10 bytes and their checksum; the entry inflates to a hundred thousand."""
    _both(data, 22, 24, "<I", 10)
    _both(data, 14, 16, "<I", zlib.crc32(bytes(10)))


def _says_more(data: bytearray) -> None:
    _both(data, 22, 24, "<I", 2_000_000)


def _wrong_crc(data: bytearray) -> None:
    _both(data, 14, 16, "<I", 0x12345678)


def _zip64_nonsense(data: bytearray) -> None:
    """Sizes that say "see the zip64 field", and no such field."""
    _both(data, 18, 20, "<I", 0xFFFFFFFF)
    _both(data, 22, 24, "<I", 0xFFFFFFFF)


def _end64_nowhere(data: bytearray) -> bytes:
    """A zip64 locator that points behind the end of the file."""
    at = data.index(b"PK\x05\x06")
    struct.pack_into("<HH", data, at + 8, 0xFFFF, 0xFFFF)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, 1 << 40, 1)
    return bytes(data[:at]) + locator + bytes(data[at:])


def _two_names(data: bytearray) -> None:
    """The entry's own header has another name than the list of contents."""
    at = data.index(CENTRAL) + 46
    data[at : at + 4] = b"evil"


def _method(data: bytearray) -> None:
    _both(data, 8, 10, "<H", 98)


def _overlapping(path: Path) -> None:
    """Two rows of the list of contents that share one entry's bytes."""
    data = bytearray(zip_of(path, {"a.bin": bytes(1000)}).read_bytes())
    start, end = data.index(CENTRAL), data.index(b"PK\x05\x06")
    row = bytes(data[start:end])
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 2, 2, 2 * len(row))
    path.write_bytes(bytes(data[:start]) + row + row + bytes(tail))


def _many(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as opened:
        for number in range(20_001):
            opened.writestr(zipfile.ZipInfo(f"{number}"), b"")


def _tar(*members: tuple[str, bytes, str], content: bytes = b"bad") -> Callable[[Path], None]:
    """A gzipped tar with members of (name, type, link target)."""

    def make(path: Path) -> None:
        with tarfile.open(path, "w:gz") as opened:
            for name, kind, link in members:
                member = tarfile.TarInfo(name)
                member.type, member.linkname = kind, link
                member.size = len(content) if kind == tarfile.REGTYPE else 0
                opened.addfile(member, io.BytesIO(content) if member.size else None)

    return make


def _tar_bomb(path: Path) -> None:
    _tar(("zeros", tarfile.REGTYPE, ""), content=bytes(40_000_000))(path)


def _tar_header_bomb(path: Path) -> None:
    """An extended header that claims 200 MB, which a plain reader takes into memory at once."""
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 200_000_000
    with gzip.open(path, "wb", 9) as stream:
        stream.write(header.tobuf(tarfile.USTAR_FORMAT))
        stream.write(bytes(1 << 20))


def _tar_cut(path: Path) -> None:
    tar_of(path, {"weights.bin": noise(50_000)})
    path.write_bytes(path.read_bytes()[:30_000])


def _tar_hidden(path: Path) -> None:
    """A broken header after the first file: `tarfile` takes it for the end and says nothing of what follows."""
    plain = bytearray(gzip.decompress(tar_of(path, {"a": bytes(512), "b": b"bad"}).read_bytes()))
    plain[1024 + 148] ^= 0xFF
    path.write_bytes(gzip.compress(bytes(plain)))


def _raw(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


BIG = {"weights.bin": bytes(100_000)}
HOSTILE: dict[str, tuple[str, Callable[[Path], None]]] = {
    # name: (words of the message, or one of several with |; maker)
    "traversal.zip": ("leads out of its folder", _named("../evil.txt")),
    "traversal inside.zip": ("leads out of its folder", _named("a/b/../../../evil.txt")),
    "absolute.zip": ("is an absolute path", _named("/etc/evil")),
    "drive.zip": ("begins with a drive letter", _named("C:/evil.txt")),
    "drive without slash.zip": ("begins with a drive letter", _named("C:evil.txt")),
    "share.zip": ("is an absolute path", _named("\\\\host\\share\\evil")),
    "backslash.zip": ("backslash", _named("a\\..\\..\\evil.txt")),
    "stream.zip": ("Windows reserves", _named("file.txt:hidden")),
    "null.zip": ("control character", _patched({"aQQb": b"x"}, _null)),
    "control.zip": ("control character", _named("a\nb")),
    "reversed letters.zip": ("control character", _named("a\u202etxt.exe")),
    "symlink.zip": ("is a link", _mode(stat.S_IFLNK | 0o777)),
    "fifo.zip": ("neither a file nor a folder", _mode(stat.S_IFIFO | 0o644)),
    "device.zip": ("neither a file nor a folder", _mode(stat.S_IFBLK | 0o644)),
    "folder with content.zip": ("folder with content", _mode(stat.S_IFDIR | 0o755, "entry/")),
    "encrypted.zip": ("is encrypted", _patched(BIG, _encrypted)),
    "twice.zip": ("is there twice", _named("same", "same")),
    "capitals.zip": ("is there twice", _named("Weights.pth", "weights.pth")),
    "folder capitals.zip": ("capitals", _named("Fold/a", "fold/b")),
    "composed.zip": ("is there twice", _named("caf\u00e9", "cafe\u0301")),
    "file and folder.zip": ("a folder and a file at once", _named("a", "a/b")),
    "device name.zip": ("device name of Windows", _named("fold_0/aux.json")),
    "trailing dot.zip": ("ends with a dot", _named("fold_0./a")),
    "trailing space.zip": ("ends with a dot or a space", _named("weights ")),
    "empty part.zip": ("has an empty part", _named("a//b")),
    "long name.zip": ("longer than 255 bytes", _named("n" * 256)),
    "long path.zip": ("longer than 1024 bytes", _named("/".join(["d" * 200] * 6))),
    "deep.zip": ("levels deep", _named("/".join("d" * 17))),
    "ratio.zip": ("times its size", _patched({"zeros": bytes(40_000_000)}, lambda data: None)),
    "many.zip": ("20001 entries", _many),
    "says less.zip": ("larger than it says", _patched(BIG, _says_less)),
    "says more.zip": ("smaller than it says", _patched(BIG, _says_more)),
    "checksum.zip": ("checksum of 'weights.bin' is wrong", _patched({"weights.bin": noise(9000)}, _wrong_crc)),
    "overlapping.zip": ("overlaps", _overlapping),
    "cut.zip": ("is cut off", _patched({"weights.bin": noise(9000)}, lambda data: bytes(data[:5000]))),
    "torn.zip": (
        "cannot be inflated",
        _patched({"w": b"abc" * 9000}, lambda data: bytes(data[:33]) + b"\xff" * 9 + bytes(data[42:])),
    ),
    "zip64 sizes.zip": ("list of contents cannot be read|overlaps", _patched(BIG, _zip64_nonsense)),
    "zip64 end.zip": ("zip64 end record", _patched(BIG, _end64_nowhere)),
    "two names.zip": ("two different things", _patched({"good.txt": b"x"}, _two_names)),
    "method.zip": ("another method", _patched(BIG, _method)),
    "empty.zip": ("holds no file", _raw(b"PK\x05\x06" + bytes(18))),
    "only junk.zip": ("holds no file", _patched({"__MACOSX/._a": b"x", ".DS_Store": b"x"}, lambda data: None)),
    "not an archive.zip": ("neither a zip archive nor", _raw(b"<!DOCTYPE html><title>404</title>")),
    "nothing.zip": ("neither a zip archive nor", _raw(b"")),
    "traversal.tar.gz": ("leads out of its folder", _tar(("../evil", tarfile.REGTYPE, ""))),
    "absolute.tar.gz": ("is an absolute path", _tar(("/etc/evil", tarfile.REGTYPE, ""))),
    "symlink.tar.gz": ("is a link", _tar(("link", tarfile.SYMTYPE, "/etc"), ("link/passwd", tarfile.REGTYPE, ""))),
    "hard link.tar.gz": ("is a link", _tar(("link", tarfile.LNKTYPE, "/etc/passwd"))),
    "device.tar.gz": ("neither a file nor a folder", _tar(("null", tarfile.CHRTYPE, ""))),
    "fifo.tar.gz": ("neither a file nor a folder", _tar(("pipe", tarfile.FIFOTYPE, ""))),
    "twice.tar.gz": ("is there twice", _tar(("a", tarfile.REGTYPE, ""), ("A", tarfile.REGTYPE, ""))),
    "ratio.tar.gz": ("would unpack to more than", _tar_bomb),
    "header bomb.tar.gz": ("header that is too long", _tar_header_bomb),
    "cut.tar.gz": ("cut off", _tar_cut),
    "hidden.tar.gz": ("more behind its end", _tar_hidden),
}


# ------------------------------------------------------------------------------------------------ cards of them

LICENSE = LicenseFacts(
    "CC-BY-4.0", "Creative Commons Attribution 4.0", "https://creativecommons.org/licenses/by/4.0/", text="Text."
)


def sha256(content: bytes) -> str:
    """Of bytes."""
    return hashlib.sha256(content).hexdigest()


def facts_of(files: dict[str, bytes]) -> tuple[FileFact, ...]:
    """What a publisher could say of these files."""
    return tuple(FileFact(name, len(content), sha256(content), "publisher") for name, content in files.items())


def card_of(id: str, place: str, url: str = "", content: bytes | None = None, **values) -> ModelCard:
    """A card with one archive at `url`, whose hash is known when its `content` is given."""
    size, digest = (len(content), sha256(content)) if content is not None else (None, None)
    sources = (Source((url,), size, digest, "publisher" if digest else "", root=None),) if url else ()
    values = {"sources": sources, "license": LICENSE, "title": id, "version": "1", "engine": "nnunetv2", **values}
    return ModelCard(id, place=place, **values)


def nnunet_card(url: str = "", content: bytes | None = None, name: str = "Dataset999_Tiny", **values) -> ModelCard:
    """The card of `nnunet_files`."""
    return card_of(values.pop("id", "tiny-999"), f"nnunet/results/{name}", url, content, **values)


def yes(license: LicenseFacts) -> bool:
    """Accepts every license."""
    return True
