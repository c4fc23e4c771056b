"""The engine SimpleITK: rigid, by mutual information, from several starts, coarse to fine. The default; nothing to install.

Metric: mutual information of Mattes et al. (IEEE Trans. Med. Imaging 22:120, 2003) as ITK has it, in nats; it needs no like
contrast. Images are registered on copies, averaged to each level's voxel size (ITK's `Shrink`, which takes single voxels,
left a bias of half a millimeter). Powell's method finds the maximum: on the reference patient turned by 8, -5 and 10 degrees it
ended 0.1 mm off, steps along the gradient of the same metric 3 to 7 mm off. One thread and a fixed seed give the same transform
bit for bit on one machine.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from OncoLib.errors import GeometryError
from OncoLib.image import RAS_TO_LPS, Image
from OncoLib.image_convert import to_sitk
from OncoLib.progress import CancelToken, Progress, part_of, silent
from OncoLib.registration.resampling import finite_voxels, to_lps
from OncoLib.registration.transform import IDENTITY, LinearTransform, Registration, lattice, shown_share

ENGINE = "SimpleITK"
METRIC = "mutual information (Mattes), nats"
APART_MM = 10.0
"""Ends of two starts that lie further apart are two different alignments. Our own limit: right ends on the coarsest level, with
voxels of 8 mm, lay up to 5.0 mm apart at the corners of the reference patient's head."""
AS_HIGH, NEARLY_AS_HIGH = 0.98, 0.9
"""Shares of the best metric: another alignment is as good at the end; is followed from the coarsest level. Our own limits."""
SAME_START_MM = 4.0
"""Half a voxel of the coarsest level."""
LEAST_OVERLAP = 0.3
"""Of the smaller of both fields of view: an end that shows less rests on too few voxels. Our own limit."""
LEAST_VOXELS = 8000
"""Of the coarsest level: on fewer the joint histogram is mostly chance. Our own limit."""
LEAST_LIKENESS = 0.05
"""In nats: noise upon an image reached 0.03, real heads of two contrasts 0.4 or more. Our own limit."""
TURNS = ((180.0,), (90.0, -90.0))
"""Degrees around each axis. On a real brain whose header was turned by 180 degrees the search without them ended 190 mm off."""
MOST_DEGREES = 30.0
"""Of a patient between two series of one day. Our own limit: more is a wrong header, or a wrong end of the search."""
LEAST_GAIN = 0.01
"""Gain in nats that counts as an improvement. Our own limit: on four real pairs of T1 and FLAIR with slices of 3 and 4 mm, gains
of 0.012 and 0.05 brought the images nearer to the reference transform of their authors; one of 0.003 did not (0.4 to 1.0 mm)."""


@dataclass(frozen=True)
class Settings:
    """How the search goes. levels_mm: voxel size of each level, coarse to fine; all starts are tried on the first.

    bins: of the joint histogram. samples: most voxels that one evaluation takes; coarse_samples: on all levels but the last,
    0 for the same. seed: of their choice. threads: 1 for one result on every run. turns: also from quarter and half turns.
    most_degrees: a larger turn is told as more than a patient makes between what `between` says.
    """

    levels_mm: tuple[float, ...] = (8.0, 4.0)
    bins: int = 40
    samples: int = 30_000
    coarse_samples: int = 0
    seed: int = 20260105
    threads: int = 1
    turns: bool = True
    most_degrees: float = MOST_DEGREES
    between: str = "two series of one day"

    def as_dict(self) -> dict:
        """For provenance."""
        return {**vars(self), "levels_mm": list(self.levels_mm), "kind": "rigid", "interpolation": "linear"}

    @property
    def coarse(self) -> Settings:
        """Those of all levels but the last."""
        return replace(self, samples=self.coarse_samples or self.samples)


def register_rigid(
    fixed: Image,
    moving: Image,
    *,
    settings: Settings | None = None,
    progress: Progress = silent,
    cancel: CancelToken | None = None,
) -> Registration:
    """Where the fixed image's points lie in the moving image, by rotation and shift.

    Starts: the identity (images of one session share the scanner's frame), both centers upon each other, both centers of
    intensity upon each other. When no end is better than the identity, the identity is returned with `improved` False.
    Raises GeometryError when the images cannot be registered at all (too few voxels), Cancelled.
    """
    settings, cancel = settings or Settings(), cancel or CancelToken()
    if min(fixed.shape_kji) < 4 or min(moving.shape_kji) < 4:
        raise GeometryError("an image with fewer than 4 voxels along an axis cannot be registered")
    pairs = [tuple(at_level(one, level) for one in (fixed, moving)) for level in settings.levels_mm]
    progress(0.1, "Registering")
    found = []
    for name, start in starts(*pairs[0]).items():
        cancel.check()
        end = optimized(pairs[0], start, settings.coarse, cancel)
        if end is not None and shows_enough(fixed, moving, end):
            found.append((metric_at(pairs[0], end, settings.coarse), name, end))
    found = [one for one in found if np.isfinite(one[0])]
    found += turned_ends(fixed, moving, pairs[0], settings.coarse, cancel) if settings.turns else []
    progress(0.4, "Registering")
    if not found:
        return kept_identity(fixed, moving, pairs[-1], settings)
    ends = []
    for number, (_metric, name, end) in enumerate(worth_following(fixed, found)):
        told = part_of(progress, 0.4 + 0.3 * number, 0.7 + 0.3 * number) if number < 2 else silent
        ends.append(finer(fixed, moving, pairs, name, end, settings, told, cancel))
    return judged(fixed, moving, pairs[-1], [one for one in ends if one] or found, settings)


def turned_ends(fixed: Image, moving: Image, pair, settings: Settings, cancel: CancelToken) -> list:
    """Ends of searches that begin turned by 90 or 180 degrees around the centers of intensity: a header can name a wrong
    orientation. Of nine turns only the most promising of each angle is searched; a head that lies right loses them all.
    """
    moments = sitk.CenteredTransformInitializerFilter.MOMENTS
    try:
        start = sitk.Euler3DTransform(sitk.CenteredTransformInitializer(*pair, sitk.Euler3DTransform(), moments))
    except RuntimeError:  # as in `starts`
        return []
    ends = []
    for angles in TURNS:
        cancel.check()
        turns = [turned(axis, one, start.GetCenter()).then(from_lps(start)) for axis in range(3) for one in angles]
        tried = [(metric_at(pair, one, settings), at) for at, one in enumerate(turns)]
        likely = [one for one in tried if np.isfinite(one[0])]
        end = optimized(pair, turns[max(likely)[1]], settings, cancel) if likely else None
        if end is not None and shows_enough(fixed, moving, end):
            ends.append((metric_at(pair, end, settings), "turned", end))
    return [one for one in ends if np.isfinite(one[0])]


def turned(axis: int, degrees: float, center_lps) -> LinearTransform:
    """A turn around an axis of RAS through a point."""
    center = np.array(center_lps) * (-1, -1, 1)
    others = [one for one in range(3) if one != axis]
    cos, sin = np.round([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], 12)
    matrix = np.eye(4)
    matrix[np.ix_(others, others)] = [[cos, -sin], [sin, cos]]
    matrix[:3, 3] = center - matrix[:3, :3] @ center
    return LinearTransform(matrix)


def worth_following(fixed: Image, found: list) -> list:
    """The best end, and others that came nearly as high elsewhere."""
    kept: list = []
    for one in sorted(found, key=lambda one: -one[0]):
        near_best = one[0] >= NEARLY_AS_HIGH * found_best(found)[0]
        if near_best and all(apart_mm(fixed, one[2], other[2]) > APART_MM for other in kept):
            kept.append(one)
    return kept


def found_best(found: list) -> tuple:
    """The end with the highest metric."""
    return max(found, key=lambda one: one[0])


def apart_mm(fixed: Image, one: LinearTransform, other: LinearTransform) -> float:
    """Largest distance between both over the fixed image, in mm."""
    points = lattice(fixed)
    return float(np.linalg.norm(one.moved(points) - other.moved(points), axis=1).max())


def finer(fixed: Image, moving: Image, pairs, name: str, end: LinearTransform, settings: Settings, progress, cancel):
    """The end of one start on the first level, followed through the others: (metric, start, transform); None when lost there."""
    for number, pair in enumerate(pairs[1:], 1):
        cancel.check()
        end = optimized(pair, end, settings if number == len(pairs) - 1 else settings.coarse, cancel)
        progress(number / (len(pairs) - 1), "Registering")
        if end is None or not shows_enough(fixed, moving, end):
            return None
    return metric_at(pairs[-1], end, settings), name, end


def at_level(image: Image, size_mm: float) -> sitk.Image:
    """A copy averaged to voxels of about that size; axes that are coarser stay, and a small image keeps `LEAST_VOXELS`."""
    found = to_sitk(finite_voxels(image), image.ijk_to_ras)
    size_mm = min(size_mm, (volume_mm3(image) / LEAST_VOXELS) ** (1 / 3))
    steps = [max(1, int(size_mm / spacing + 0.01)) for spacing in image.spacing_mm]
    return sitk.BinShrink(found, steps) if max(steps) > 1 else found


def starts(fixed: sitk.Image, moving: sitk.Image) -> dict[str, LinearTransform]:
    """Where the search begins, by name."""
    found = {"identity": IDENTITY}
    filters = sitk.CenteredTransformInitializerFilter
    for name, kind in (("centers", filters.GEOMETRY), ("moments", filters.MOMENTS)):
        try:
            found[name] = from_lps(sitk.CenteredTransformInitializer(fixed, moving, sitk.Euler3DTransform(), kind))
        except RuntimeError:  # an image whose intensities sum up to nothing has no center
            continue
    return distinct(found, center_of(fixed))


def distinct(found: dict[str, LinearTransform], center_lps) -> dict[str, LinearTransform]:
    """Without starts that are as good as one before: the search from both would end at one place."""
    kept: dict[str, LinearTransform] = {}
    center = np.array(center_lps)[None] * (-1, -1, 1)
    for name, start in found.items():
        if all(np.linalg.norm(start.moved(center) - other.moved(center)) > SAME_START_MM for other in kept.values()):
            kept[name] = start
    return kept


def from_lps(transform: sitk.Transform) -> LinearTransform:
    """Our type of ITK's rigid transform."""
    rigid = sitk.Euler3DTransform(transform)
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(rigid.GetMatrix()).reshape(3, 3)
    matrix[:3, 3] = rigid.TransformPoint((0.0, 0.0, 0.0))
    return LinearTransform(RAS_TO_LPS @ matrix @ RAS_TO_LPS)


def rigid_around(transform: LinearTransform, center_lps) -> sitk.Euler3DTransform:
    """The same transform, turned around the fixed image's center, where a turn moves the image least."""
    lps = to_lps(transform)
    found = sitk.Euler3DTransform()
    found.SetCenter(center_lps)
    found.SetMatrix(lps.GetMatrix(), 1e-5)
    at = np.array(lps.TransformPoint(center_lps))
    found.SetTranslation((at - np.array(center_lps)).tolist())
    return found


def center_of(image: sitk.Image) -> tuple[float, ...]:
    """The middle of the grid, LPS."""
    return image.TransformContinuousIndexToPhysicalPoint([(size - 1) / 2 for size in image.GetSize()])


def method_for(fixed: sitk.Image, settings: Settings, mask: sitk.Image | None = None) -> sitk.ImageRegistrationMethod:
    """ITK's registration with our metric, on as many samples as the settings allow. mask: of voxels of the fixed image."""
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(settings.threads)
    method.SetMetricAsMattesMutualInformation(settings.bins)
    method.SetInterpolator(sitk.sitkLinear)
    if mask is not None:
        method.SetMetricFixedMask(mask)
    share = settings.samples / max(1, fixed.GetNumberOfPixels())
    if share < 1.0:
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(share, settings.seed)
    return method


def optimized(pair, start: LinearTransform, settings: Settings, cancel: CancelToken, mask=None) -> LinearTransform | None:
    """Where the search from this start ends; None when the images lose each other."""
    fixed, moving = pair
    method = method_for(fixed, settings, mask)
    method.SetOptimizerAsPowell(
        numberOfIterations=10, maximumLineIterations=20, stepLength=max(fixed.GetSpacing()) / 4, stepTolerance=0.02,
        valueTolerance=1e-4,
    )  # fmt: skip
    method.SetOptimizerScales([radius_of(fixed) ** 2] * 3 + [1.0] * 3)  # a step turns the image's edge as far as it shifts it
    method.SetInitialTransform(rigid_around(start, center_of(fixed)), inPlace=False)
    method.AddCommand(sitk.sitkIterationEvent, lambda: method.StopRegistration() if cancel.cancelled else None)
    try:
        found = method.Execute(fixed, moving)
    except RuntimeError:  # "all samples map outside moving image buffer"
        return None
    cancel.check()
    return from_lps(sitk.CompositeTransform(found).GetBackTransform())


def radius_of(image: sitk.Image) -> float:
    """Half the mean side of the grid in mm."""
    return float(np.mean(np.array(image.GetSize()) * image.GetSpacing())) / 2


def metric_at(pair, transform: LinearTransform, settings: Settings, mask=None) -> float:
    """Mutual information in nats, higher is more alike; NaN where the images do not overlap."""
    method = method_for(pair[0], settings, mask)
    method.SetInitialTransform(rigid_around(transform, center_of(pair[0])))
    try:
        return -float(method.MetricEvaluate(*pair))
    except RuntimeError:
        return float("nan")


def volume_mm3(image: Image) -> float:
    """Of the whole field of view."""
    return image.voxels.size * image.voxel_volume_ml * 1000.0


def shows_enough(fixed: Image, moving: Image, transform: LinearTransform) -> bool:
    """False when too little of the smaller field of view lies in the other one."""
    shared = shown_share(fixed, moving, transform) * volume_mm3(fixed)
    return shared >= LEAST_OVERLAP * min(volume_mm3(fixed), volume_mm3(moving))


def kept_identity(fixed: Image, moving: Image, pair, settings: Settings) -> Registration:
    """When no start came to a usable end."""
    before = metric_at(pair, IDENTITY, settings)
    overlap = shown_share(fixed, moving)
    doubts = ("no alignment was found that shows enough of both images",)
    return Registration(
        IDENTITY, ENGINE, METRIC, before, before, False, (0.0, 0.0), 0.0, overlap, "identity", 0.0, doubts, settings.as_dict()
    )


def judged(fixed: Image, moving: Image, pair, ends: list, settings: Settings) -> Registration:
    """The best end with its metric beside that of the identity; the identity itself when that is as good."""
    after, start, transform = found_best(ends)
    before = metric_at(pair, IDENTITY, settings)
    comparable = np.isfinite(before) and shows_enough(fixed, moving, IDENTITY)
    alike = bool(np.isfinite(after) and after >= LEAST_LIKENESS)
    improved = alike and (not comparable or after >= before + LEAST_GAIN)
    apart = max(apart_mm(fixed, transform, one[2]) for one in ends if one[0] >= AS_HIGH * after or one[2] is transform)
    doubts = [f"another alignment, up to {apart:.0f} mm away, looks as good"] if improved and apart > APART_MM else []
    doubts += [] if alike else ["the two images have next to nothing in common"]
    if improved and transform.degrees > settings.most_degrees:
        doubts.append(f"a turn by {transform.degrees:.0f} degrees is more than a patient makes between {settings.between}")
    if not improved:
        transform, after, start = IDENTITY, before, "identity"
    return Registration(
        transform, ENGINE, METRIC, before, after, improved, transform.moved_mm(fixed), transform.degrees,
        shown_share(fixed, moving, transform), start, apart, tuple(doubts), settings.as_dict(),
    )  # fmt: skip
