"""Statistics of values inside a mask: numbers by hand and by NumPy in double precision, units, memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from OncoLib import quantities
from OncoLib.intensity import STATISTICS, intensity_statistics


def test_statistics_by_hand():
    """1, 2, 3, 4, 10: mean 4, median 3; squares 9 + 4 + 1 + 0 + 36 = 50, over 5 is 10; p5 at rank 0.2, p95 at 3.8."""
    found = intensity_statistics(np.array([10, 2, 3, 4, 1], np.int16), "HU")
    wanted = (4.0, np.sqrt(10.0), 3.0, 1.0, 10.0, 1.2, 8.8)
    assert [item.value for item in found.values()] == pytest.approx(wanted)
    assert list(found) == list(STATISTICS)
    assert {item.unit for item in found.values()} == {"[hnsf'U]"}


def test_values_that_are_not_finite_are_left_out_and_counted():
    found = intensity_statistics(np.array([1.0, np.nan, 3.0, np.inf], np.float32), "SUV")
    assert found["intensity_mean"].value == 2.0 and found["intensity_max"].value == 3.0
    assert "2 voxels that are not finite were left out" in found["intensity_mean"].method
    assert intensity_statistics(np.full(3, np.nan)) == {}


@pytest.mark.parametrize(
    ("stated", "unit", "told"),
    [
        ("HU", "[hnsf'U]", ""),
        ("hu", "[hnsf'U]", ""),
        ("SUV", "{SUV}", ""),
        ("SUVbw", "g/ml{SUVbw}", ""),
        ("G/ML{SUVLBM}", "g/ml{SUVlbm}", ""),
        ("BQ/ML", "Bq/ml", ""),
        ("kBq/ml", "kBq/ml", ""),
        ("mm2/s", "mm2/s", ""),
        ("10*-3.mm2/s", "10*-3.mm2/s", ""),
        ("a.u.", "[arb'U]", ""),
        ("", "[arb'U]", "units not stated"),
        ("US", "[arb'U]", "units stated as 'US'"),
        ("grey values", "[arb'U]", "units stated as 'grey values'"),
    ],
)
def test_units_are_told_as_they_were_stated(stated, unit, told):
    """Codes of UCUM go through, in DICOM's spelling; "1" would say that the values are a ratio."""
    found = intensity_statistics(np.array([1, 2], np.int16), stated)["intensity_mean"]
    assert found.unit == unit and found.method.endswith(told or "is inside")


def test_units_of_images_stand_in_the_dictionary_of_dicom():
    from pydicom.sr._concepts_dict import concepts

    known = {value for found in concepts["UCUM"].values() for value in found}
    assert set(quantities.IMAGE_UCUM) - known == {"g/ml"}
    for code in known - {"dB", "dB[uV]", "dB[mV]", "diop", "{Particles}/[100]g{Tissue}"}:
        assert quantities.ucum_of(code) == (code, ""), code


@pytest.mark.parametrize("kind", ["int16", "uint8", "float32", "int64"])
def test_statistics_are_those_of_numpy_in_double_precision(kind):
    """Odd and even numbers of values, more than a block of them; the ends of a type do not overflow."""
    random = np.random.default_rng(3)
    for size in (1, 2, 7, 1000, (1 << 20) + 5):
        values = random.normal(90, 40, size).astype(kind)
        exact = values.astype(np.float64)
        wanted = [exact.mean(), exact.std(), *np.percentile(exact, [50, 0, 100, 5, 95])]
        assert [one.value for one in intensity_statistics(values).values()] == pytest.approx(wanted, rel=1e-12)
    ends = intensity_statistics(np.array([-32768, 32767], np.int16))
    assert ends["intensity_median"].value == -0.5


def test_statistics_take_no_more_memory_than_the_values():
    """One copy in the type of the image for the ranks, and blocks of 8 MB: not 8 bytes for each voxel."""
    values = np.arange(20_000_000, dtype=np.int32).astype(np.int16)
    tracemalloc.start()
    try:
        intensity_statistics(values, "HU")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.2 * values.nbytes + 40e6


def test_large_integers_do_not_overflow():
    assert intensity_statistics(np.full(1000, 32767, np.int16))["intensity_mean"].value == 32767
