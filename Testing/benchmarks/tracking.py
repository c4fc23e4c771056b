"""Links between the lesions of two dates: precision and recall by the error of the registration, on patients with a known truth;
then real lesion shapes on two real grids, and the seconds that it takes."""

from __future__ import annotations

import time

import numpy as np

from LongitudinalCompareLib.lesions_of import lesions_of_mask
from LongitudinalCompareLib.tracking import DatedLesions, track_lesions
from OncoLib.image import RAS_TO_LPS
from OncoLib.image_files import read_image
from OncoLib.registration.simple_itk import register_rigid
from OncoLib.registration.transform import LinearTransform
from tracking_cases import case

AIM, AIM_AT_MM = 0.95, 3.0
ERRORS_MM = (0, 1, 2, 3, 4, 5, 6, 8)
PATIENTS = ("patient01", "patient12")


def figures(data, *, full: bool):
    """Lines of this subject. Seeds of the settings' choice are from 1000 up, those here below."""
    patients = 40 if full else 6
    for local, how in ((False, "all lesions off as one"), (True, "each lesion off in a direction of its own")):
        for error_mm in ERRORS_MM if full else (0, 3, 8):
            yield simulated(patients, float(error_mm), local, how)
    folder = None if data is None else data / "longitudinal_ms"
    if folder is None or not folder.is_dir():
        yield "tracking on real shapes: skipped, the shared test data is not there"
        return
    for name in PATIENTS:
        yield from real_lines(folder / name, full)


def simulated(patients: int, error_mm: float, local: bool, how: str) -> str:
    """One error: all links of all patients together."""
    right = made = true = 0
    seconds = 0.0
    for seed in range(patients):
        patient = case(seed, error_mm, local=local)
        began = time.process_time()
        links = {(link.earlier, link.later) for link in track_lesions(patient.dates, "benchmark").links}
        seconds += time.process_time() - began
        wanted = patient.true_links()
        right, made, true = right + len(links & wanted), made + len(links), true + len(wanted)
    precision, recall = right / max(made, 1), right / max(true, 1)
    judged = ""
    if error_mm == AIM_AT_MM:
        judged = f" (aim {AIM:g} each: {'met' if min(precision, recall) >= AIM else 'MISSED'})"
    return (
        f"links, registration off by {error_mm:g} mm, {how}: precision {precision:.3f}, recall {recall:.3f}{judged};"
        f" {true} true links of {patients} patients, {1000 * seconds / patients:.0f} ms of one core a patient"
    )


def real_lines(folder, full: bool):
    """The change mask of a real patient, put on both native grids by the data set's own transforms: every lesion is its own
    partner. There are no masks of the lesions of each date, so this says nothing of real growth; shapes, sizes, crowding and
    grids are real."""
    truth = read_image(folder / "gt.nii.gz")
    scans = [read_image(folder / f"study{number}_FLAIR.nii.gz") for number in (1, 2)]
    poses = [to_study(folder / f"study{number}_FLAIR_to_common_space.txt") for number in (1, 2)]
    found = [on_grid(truth, scan, pose) for scan, pose in zip(scans, poses)]
    known = poses[0].inverse().then(poses[1])
    for error_mm in (0, 3, 8) if full else (0, 3):
        right = made = true = 0
        for at in np.eye(3) * error_mm if error_mm else np.zeros((1, 3)):
            got, wanted = linked(found, scans, known.then(shift(at)))
            right, made, true = right + len(got & wanted), made + len(got), true + len(wanted)
        yield real_line(folder.name, f"off by {error_mm} mm", right, made, true)
    if full:
        ours = register_rigid(*scans).transform
        lesions = lesions_of_mask(truth.voxels > 0, truth.ijk_to_ras, 0, diameters=False)
        centers = np.array([one.centroid_ras_mm for one in lesions])
        off = np.linalg.norm(ours.moved(poses[0].moved(centers)) - poses[1].moved(centers), axis=1)
        got, wanted = linked(found, scans, ours)
        how = f"by our rigid registration of the FLAIR scans ({off.mean():.1f} mm mean, {off.max():.1f} most off the data's own)"
        yield real_line(folder.name, how, len(got & wanted), len(got), len(wanted))


def real_line(name: str, how: str, right: int, made: int, true: int) -> str:
    """One patient."""
    return (
        f"links, {name}, real change mask on both native grids, {how}: precision {right / max(made, 1):.3f}, recall"
        f" {right / max(true, 1):.3f} of {true} (each lesion's own copy; there are no masks of each date)"
    )


def to_study(path) -> LinearTransform:
    """From the common space to a study, RAS; ITK's file is LPS: y = A (x - c) + c + t."""
    lines = dict(line.split(": ") for line in path.read_text().splitlines() if ": " in line)
    numbers = [float(word) for word in lines["Parameters"].split()]
    center = np.array([float(word) for word in lines["FixedParameters"].split()])
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(numbers[:9], (3, 3))
    matrix[:3, 3] = numbers[9:] + center - matrix[:3, :3] @ center
    return LinearTransform(RAS_TO_LPS @ matrix @ RAS_TO_LPS, "affine")


def shift(vector_mm) -> LinearTransform:
    """By so much."""
    matrix = np.eye(4)
    matrix[:3, 3] = vector_mm
    return LinearTransform(matrix)


def on_grid(truth, scan, pose: LinearTransform) -> list[tuple[int, np.ndarray]]:
    """Each component of the change mask on the native grid of a scan: its number, and its voxels as `[n, 3]` (k, j, i)."""
    shape, found = np.array(scan.shape_kji), []
    for number, lesion in enumerate(lesions_of_mask(truth.voxels > 0, truth.ijk_to_ras, 0, diameters=False)):
        points = pose.moved(lesion.voxels_ijk @ lesion.ijk_to_ras[:3, :3].T + lesion.ijk_to_ras[:3, 3])
        home = np.linalg.inv(scan.ijk_to_ras)
        ijk = points @ home[:3, :3].T + home[:3, 3]
        low, high = np.maximum(np.floor(ijk.min(axis=0)) - 2, 0), np.minimum(np.ceil(ijk.max(axis=0)) + 3, shape[::-1])
        box = np.stack(np.meshgrid(*[np.arange(a, b) for a, b in zip(low, high)], indexing="ij"), -1).reshape(-1, 3)
        places = pose.inverse().moved(box @ scan.ijk_to_ras[:3, :3].T + scan.ijk_to_ras[:3, 3])
        inside = box[lesion.holds(places)].astype(int)
        if len(inside):
            found.append((number, inside[:, ::-1]))
    return found


def linked(found, scans, transform: LinearTransform):
    """Links that were made, and those of a component with itself; components that touch on a grid are one lesion."""
    dates, owners = [], []
    for at, (parts, scan) in enumerate(zip(found, scans)):
        numbers = np.full(scan.shape_kji, -1, np.int32)
        for number, places in parts:
            numbers[tuple(places.T)] = number
        lesions = lesions_of_mask(numbers >= 0, scan.ijk_to_ras, at, diameters=False)
        owners.append({one.key: set(numbers[one.box][one.mask].tolist()) for one in lesions})
        dates.append(DatedLesions(lesions, scan.ijk_to_ras, scan.shape_kji, transform if at else None))
    got = {(link.earlier, link.later) for link in track_lesions(dates, "benchmark").links}
    return got, {(a, b) for a in owners[0] for b in owners[1] if owners[0][a] & owners[1][b]}
