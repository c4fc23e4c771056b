"""The zip side of unpacking. `zipfile` reads the list of contents; the entries' bytes are read and inflated here, since
`zipfile` stops at the size that the list states and does not say when an entry holds more."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ModelManagerLib.archive import CHUNK, Limits, Writer, refused
from ModelManagerLib.archive_names import Names, is_junk, problem_of_name, shown

# Field layouts and flag bits: PKWARE, APPNOTE.TXT (.ZIP File Format Specification), 4.3.7, 4.3.14 to 4.3.16, 4.4.4, 4.6.9.
END, END_SIZE = b"PK\x05\x06", 22
END64_LOCATOR, END64_LOCATOR_SIZE = b"PK\x06\x07", 20
END64 = b"PK\x06\x06"
LOCAL_HEADER_SIZE = 30
LONGEST_COMMENT = 0xFFFF
ENCRYPTED = 0x1 | 0x40 | 0x2000
PATCHED = 0x20
UTF8 = 0x800
UNICODE_PATH = 0x7075
UNIX = 3


def read(archive: Path, writer: Writer) -> None:
    """Checks the whole list of contents, then writes every entry."""
    entries = [one for one in checked_entries(archive, writer.limits) if name_of(one).startswith(writer.below)]
    writer.expected_bytes = sum(entry.file_size for entry in entries)
    with open(archive, "rb") as stream:
        for entry in entries:
            name = name_of(entry)[len(writer.below) :]
            if name and _is_folder(entry):
                writer.folder(name)
            elif name:
                writer.file(name, _content(archive, stream, entry))


def checked_entries(archive: Path, limits: Limits) -> list[zipfile.ZipInfo]:
    """The entries that will be written, after all that can be checked without inflating; InputError otherwise."""
    _check_directory(archive, limits)
    try:
        with zipfile.ZipFile(archive) as opened:
            entries, directory_start = opened.infolist(), opened.start_dir
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise refused(archive, "is damaged or cut off (its list of contents cannot be read)") from error
    if len(entries) > limits.files:
        raise refused(archive, f"holds {len(entries)} entries; at most {limits.files} are allowed")
    _check_overlaps(archive, entries, directory_start)
    kept = [entry for entry in entries if not is_junk(name_of(entry))]
    names = Names()
    for entry in kept:
        problem = _problem_of(entry, limits) or names.problem_of_adding(name_of(entry), folder=_is_folder(entry))
        if problem:
            raise refused(archive, f"holds the entry {shown(entry.orig_filename)}, which {problem}")
    _check_total(archive, sum(entry.file_size for entry in kept), limits)
    return kept


def name_of(entry: zipfile.ZipInfo) -> str:
    """The entry's name as it stands, or the one of Info-ZIP's Unicode Path field (APPNOTE 4.6.9) where that belongs to it.

    Not `filename`: it is cut at a NUL, has its separators exchanged on Windows, and heeds that field since Python 3.12.
    """
    extra, raw = entry.extra, entry.orig_filename.encode("utf-8" if entry.flag_bits & UTF8 else "cp437")
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH and len(field) > 5 and struct.unpack_from("<BL", field) == (1, zlib.crc32(raw)):
            return field[5:].decode("utf-8", errors="replace")
    with contextlib.suppress(UnicodeDecodeError):  # the program zip of Linux and macOS writes UTF-8 and does not say so
        return raw.decode("utf-8") if entry.create_system == UNIX else entry.orig_filename
    return entry.orig_filename


def _is_folder(entry: zipfile.ZipInfo) -> bool:
    return name_of(entry).endswith("/")


def _problem_of(entry: zipfile.ZipInfo, limits: Limits) -> str:
    """Why one entry is not unpacked; "" when it is."""
    problem = problem_of_name(name_of(entry), limits.depth)
    if problem:
        return problem
    if entry.flag_bits & ENCRYPTED:
        return "is encrypted"
    if entry.flag_bits & PATCHED or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is packed by another method than deflate"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a link"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither a file nor a folder"
    if _is_folder(entry) and (entry.file_size or entry.compress_size > 2):
        return "is a folder with content"
    if kind and (kind == stat.S_IFDIR) != _is_folder(entry):
        return "is a folder and a file at once"
    return ""


def _check_total(archive: Path, total: int, limits: Limits) -> None:
    """Holds the stated sum against the limits; the entries are held to their stated sizes later."""
    if total > limits.unpacked_bytes:
        raise refused(archive, f"would unpack to {total / 1e9:.1f} GB; at most {limits.unpacked_bytes / 1e9:.1f} GB are allowed")
    packed = max(1, archive.stat().st_size)
    if total > limits.small_bytes and total / packed > limits.ratio:
        raise refused(archive, f"would unpack to {total / packed:.0f} times its size; at most {limits.ratio:.0f} are allowed")


def _check_overlaps(archive: Path, entries: list[zipfile.ZipInfo], directory_start: int) -> None:
    """Each byte belongs to one entry at most: entries that share bytes are how small bombs are built."""
    end = 0
    with open(archive, "rb") as stream:
        for entry in sorted(entries, key=lambda one: one.header_offset):
            start = entry.header_offset
            data = _data_offset(archive, stream, entry) if start >= end else start
            if start < end or data + entry.compress_size > directory_start:
                raise refused(archive, f"holds the entry {shown(entry.orig_filename)}, which overlaps with another one")
            end = data + entry.compress_size


def _data_offset(archive: Path, stream: BinaryIO, entry: zipfile.ZipInfo) -> int:
    """Where the entry's bytes begin; its own header must repeat what the list of contents says of it."""
    stream.seek(entry.header_offset)
    header = stream.read(LOCAL_HEADER_SIZE)
    if len(header) < LOCAL_HEADER_SIZE or header[:4] != b"PK\x03\x04":
        raise refused(archive, f"is damaged (the header of {shown(entry.orig_filename)} is not where it should be)")
    flags, method = struct.unpack_from("<HH", header, 6)
    name_size, extra_size = struct.unpack_from("<HH", header, 26)
    name = stream.read(name_size)
    decoded = name.decode("utf-8" if flags & UTF8 else "cp437", errors="replace")
    if decoded != entry.orig_filename or method != entry.compress_type:
        raise refused(archive, f"says two different things about the entry {shown(entry.orig_filename)}")
    return entry.header_offset + LOCAL_HEADER_SIZE + name_size + extra_size


def _content(archive: Path, stream: BinaryIO, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """The entry's bytes in chunks, held to its stated size and checksum."""
    stream.seek(_data_offset(archive, stream, entry))
    packed = _packed(archive, stream, entry)
    plain = packed if entry.compress_type == zipfile.ZIP_STORED else _inflated(archive, packed, entry)
    size, checksum = 0, 0
    for chunk in plain:
        size += len(chunk)
        if size > entry.file_size:
            raise refused(archive, f"holds the entry {shown(entry.orig_filename)}, which is larger than it says")
        checksum = zlib.crc32(chunk, checksum)
        yield chunk
    if size != entry.file_size:
        raise refused(archive, f"holds the entry {shown(entry.orig_filename)}, which is smaller than it says")
    if checksum != entry.CRC:
        raise refused(archive, f"is damaged (the checksum of {shown(entry.orig_filename)} is wrong)")


def _packed(archive: Path, stream: BinaryIO, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    left = entry.compress_size
    while left:
        chunk = stream.read(min(CHUNK, left))
        if not chunk:
            raise refused(archive, f"is cut off within {shown(entry.orig_filename)}")
        left -= len(chunk)
        yield chunk


def _inflated(archive: Path, packed: Iterator[bytes], entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Raw deflate, never more than a chunk in memory."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for chunk in packed:
            while chunk and not inflater.eof:
                plain = inflater.decompress(chunk, CHUNK)
                chunk = inflater.unconsumed_tail
                if plain:
                    yield plain
            if inflater.unused_data or (inflater.eof and chunk):
                raise refused(archive, f"holds the entry {shown(entry.orig_filename)}, which has bytes behind its end")
        while not inflater.eof and (plain := inflater.decompress(b"", CHUNK)):
            yield plain
    except zlib.error as error:
        raise refused(archive, f"is damaged (the bytes of {shown(entry.orig_filename)} cannot be inflated)") from error
    if not inflater.eof:
        raise refused(archive, f"is damaged (the bytes of {shown(entry.orig_filename)} end too early)")


def _check_directory(archive: Path, limits: Limits) -> None:
    """Reads the end record alone: a list of contents of millions of entries never reaches memory."""
    size = archive.stat().st_size
    with open(archive, "rb") as stream:
        tail_start = max(0, size - END_SIZE - LONGEST_COMMENT)
        stream.seek(tail_start)
        tail = stream.read()
        at = tail.rfind(END)
        if at < 0 or len(tail) - at < END_SIZE:
            raise refused(archive, "is cut off (its end is missing)")
        entries, directory_bytes = struct.unpack_from("<HI", tail, at + 10)
        if entries == 0xFFFF or directory_bytes == 0xFFFFFFFF:
            entries, directory_bytes = _from_end64(archive, stream, tail_start + at, entries, directory_bytes)
    if entries > limits.files:
        raise refused(archive, f"holds {entries} entries; at most {limits.files} are allowed")
    if directory_bytes > min(limits.directory_bytes, size):
        raise refused(archive, f"has a list of contents of {directory_bytes} bytes, which is too long")


def _from_end64(archive: Path, stream: BinaryIO, end_at: int, entries: int, directory_bytes: int) -> tuple[int, int]:
    """Count and size from the zip64 end record; those of the plain one when there is no zip64 record."""
    stream.seek(max(0, end_at - END64_LOCATOR_SIZE))
    locator = stream.read(END64_LOCATOR_SIZE)
    if locator[:4] != END64_LOCATOR or len(locator) < END64_LOCATOR_SIZE:
        return entries, directory_bytes
    (offset,) = struct.unpack_from("<Q", locator, 8)
    if offset + 56 > end_at:
        raise refused(archive, "is damaged (its zip64 end record is not where it should be)")
    stream.seek(offset, os.SEEK_SET)
    record = stream.read(56)
    if record[:4] != END64:
        raise refused(archive, "is damaged (its zip64 end record is not where it should be)")
    return struct.unpack_from("<QQ", record, 32)
