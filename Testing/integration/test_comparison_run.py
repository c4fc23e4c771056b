"""Dates of a scene compared and published in one call, with a real registration."""

from __future__ import annotations

import numpy as np
import pytest

from helpers_timepoints import add_brain_pair
from LongitudinalCompareLib.compare_options import CompareOptions
from LongitudinalCompareLib.scene.comparison_nodes import ours
from LongitudinalCompareLib.scene.comparison_run import compare_and_publish
from LongitudinalCompareLib.scene.registered import Date
from OncoLib.errors import InputError
from OncoLib.progress import Cancelled, CancelToken
from OncoLib.scene.host import new_host
from OncoLib.scene.segmentations import segmentation_of

FAST = CompareOptions(way_back=False, local=False)


@pytest.fixture(scope="module")
def pair():
    host = new_host()
    volumes, nodes, poses = add_brain_pair(host.scene)
    dates = [Date(*one) for one in zip(volumes, nodes, ("2024-03-01", "2024-06-10"))]
    return host, dates, poses


def test_a_comparison_that_cannot_be_made_leaves_the_scene_alone(pair):
    host, dates, _poses = pair
    before = host.scene.GetNumberOfNodes()
    with pytest.raises(InputError):
        compare_and_publish(host.scene, [dates[0], Date(dates[1].volume, None, dates[1].date)], FAST)
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        compare_and_publish(host.scene, dates, FAST, cancel=token)
    assert host.scene.GetNumberOfNodes() == before and not list(ours(host.scene))


@pytest.mark.slow
def test_dates_in_any_order_are_compared_and_published(pair):
    host, dates, poses = pair
    nodes, evidence, comparison = compare_and_publish(host.scene, dates[::-1], FAST)
    assert [one.when for one in comparison.timepoints] == ["2024-03-01", "2024-06-10"]
    (track,) = comparison.tracks
    assert [one.status for one in track.entries] == ["baseline", "persistent"]
    voxels = [int(segmentation_of(one.segmentation).layers[0].astype(bool).sum()) for one in dates]
    assert [one.value("volume_ml") for one in track.entries] == pytest.approx([count * 4.0**3 / 1000 for count in voxels])
    assert dates[0].volume.GetTransformNodeID() is None
    assert dates[1].volume.GetTransformNodeID() == nodes.transforms[1].GetID()
    center = evidence.dates[0].lesions[0].centroid_ras_mm
    moved = evidence.pairs[0].transform.moved(center[None])[0]
    true = (poses[1] @ np.linalg.inv(poses[0]) @ [*center, 1.0])[:3]
    assert np.linalg.norm(moved - true) < 2.0, "half a voxel"
    assert nodes.volumes.GetNumberOfPlotSeriesNodes() == 1
