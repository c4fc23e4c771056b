"""Features of pictures: computed once, bounded in memory and on disk, the same bits wherever they come from."""

from __future__ import annotations

import os

import pytest

from OncoLib.errors import InputError
from OncoSegmentLib.refine.sam.embeddings import Embeddings, size_of

torch = pytest.importorskip("torch", reason="features are tensors of torch: install the extra 'ai'")
pytest.importorskip("safetensors", reason="features on a disk need the package safetensors: install the extra 'ai'")

EACH = 2 * (4 * 8 * 8 + 16 * 4 * 4)
"""Bytes of `maps` in half precision."""


def maps(seed: int) -> tuple:
    made = torch.Generator().manual_seed(seed)
    return torch.randn(1, 4, 8, 8, generator=made), torch.randn(1, 16, 4, 4, generator=made)


def same(first: tuple, second: tuple) -> bool:
    return all(one.dtype == other.dtype and torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_features_are_computed_once():
    kept = Embeddings()
    first = kept.get(("a", 1), lambda: maps(1))
    assert kept.computed == 1 and kept.held_bytes == size_of(first) == EACH
    assert kept.get(("a", 1), lambda: pytest.fail("it was computed again")) is first
    kept.get(("a", 2), lambda: maps(2))
    assert kept.computed == 2 and [one.dtype for one in first] == [torch.float16] * 2
    assert same(first, tuple(one.half() for one in maps(1)))


def test_memory_is_bounded_and_the_longest_unused_leave_first():
    kept = Embeddings(3 * EACH)
    for number in (1, 2, 3):
        kept.get(number, lambda: maps(1))
    kept.get(1, lambda: pytest.fail("it was computed again"))
    assert not kept.room_for(1) and kept.bytes_each == EACH
    kept.get(4, lambda: maps(4))
    assert kept.held_bytes == 3 * EACH and [number in kept for number in (1, 2, 3, 4)] == [True, False, True, True]
    kept.clear()
    assert (len(kept), kept.held_bytes) == (0, 0)


def test_what_is_larger_than_the_budget_is_given_and_not_kept():
    kept = Embeddings(EACH - 1)
    assert same(kept.get(1, lambda: maps(1)), tuple(one.half() for one in maps(1)))
    assert (len(kept), kept.held_bytes) == (0, 0)


def test_a_disk_gives_the_same_bits_to_the_next_session(tmp_path):
    first = Embeddings(folder=tmp_path / "features").get(("x", 7), lambda: maps(7))
    later = Embeddings(folder=tmp_path / "features")
    assert same(later.get(("x", 7), lambda: pytest.fail("it was computed again")), first)
    assert (later.computed, later.read) == (0, 1)
    precise = Embeddings(folder=tmp_path / "features", half=False)
    assert same(precise.get(("x", 7), lambda: maps(7)), maps(7)) and precise.computed == 1


@pytest.mark.parametrize("harm", [lambda data: data[:-9], lambda data: b"", lambda data: b"\x00" * len(data)])
def test_a_damaged_file_is_made_anew(harm, tmp_path):
    Embeddings(folder=tmp_path).get(1, lambda: maps(1))
    (path,) = tmp_path.glob("*.safetensors")
    path.write_bytes(harm(path.read_bytes()))
    later = Embeddings(folder=tmp_path)
    assert same(later.get(1, lambda: maps(1)), tuple(one.half() for one in maps(1))) and later.computed == 1
    assert Embeddings(folder=tmp_path).get(1, lambda: pytest.fail("it was not written again"))


def test_a_file_under_another_key_is_not_taken(tmp_path):
    kept = Embeddings(folder=tmp_path)
    kept.get(1, lambda: maps(1))
    (path,) = tmp_path.glob("*.safetensors")
    os.replace(path, kept._path(2))
    assert same(Embeddings(folder=tmp_path).get(2, lambda: maps(2)), tuple(one.half() for one in maps(2)))


def test_the_disk_is_bounded_and_nothing_is_left_half_written(tmp_path):
    kept = Embeddings(0, tmp_path, disk_bytes=5 * EACH)
    for number in range(12):
        kept.get(number, lambda: maps(1))
        os.utime(kept._path(number), ns=(number * 10**9, number * 10**9))
    left = {one.name for one in tmp_path.iterdir()}
    sizes = sum(one.stat().st_size for one in tmp_path.iterdir())
    assert sizes <= 5 * EACH and kept._path(11).name in left and kept._path(0).name not in left
    assert all(name.endswith(".safetensors") for name in left)


@pytest.mark.skipif(os.name != "posix", reason="modes of folders are POSIX")
def test_the_folder_is_private(tmp_path):
    kept = Embeddings(folder=tmp_path / "deep" / "features")
    kept.get(1, lambda: maps(1))
    assert (tmp_path / "deep" / "features").stat().st_mode & 0o777 == 0o700
    assert {one.stat().st_mode & 0o777 for one in (tmp_path / "deep" / "features").iterdir()} == {0o600}
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="^file: the folder for features cannot be made or written$"):
        Embeddings(folder=tmp_path / "file")
