"""What the experts of a panel see is what was there when the panel began, whatever is edited while they wait."""

from __future__ import annotations

import numpy as np

from OncoLib.image import Image
from OncoSegmentLib.engine import jobs
from OncoSegmentLib.panel import Settings, members_of
from OncoSegmentLib.request import Request


def scan(value: float) -> Image:
    return Image(np.full((4, 5, 6), value, np.float32), np.eye(4), modality="MR")


def test_experts_that_wait_see_channels_as_they_were():
    image, flair, t1c = scan(1), scan(2), scan(3)
    asked = [
        Request("nnunet", channels=(("FLAIR", flair), ("T1c", t1c)), parameters={"weights": "a"}),
        Request("nnunet", channels=(("FLAIR", Image(flair.voxels, np.eye(4))),), parameters={"weights": "b"}),
    ]
    job = jobs.start_panel(image, members_of(asked), Settings("majority", measure=False))
    try:
        for one in (flair, t1c):
            one.voxels[:] = 99
        seen = [dict(seat.request.channels) for seat in job.seats]
        assert (seen[0]["FLAIR"].voxels == 2).all() and (seen[0]["T1c"].voxels == 3).all()
        assert seen[1]["FLAIR"].voxels is seen[0]["FLAIR"].voxels, "one copy for all"
    finally:
        job.close()


def test_the_image_is_copied_for_workers_elsewhere_only():
    image, members = scan(1), members_of([Request("thresholds", profile="body"), Request("thresholds", profile="bones")])
    assert jobs.own_voxels(image, members, main=False)[0] is image
    own = jobs.own_voxels(image, members, main=True)[0]
    image.voxels[:] = 99
    assert (own.voxels == 1).all() and np.array_equal(own.ijk_to_ras, image.ijk_to_ras) and own.modality == "MR"
