"""Draws the pictures of `Resources/Documentation/measures.md`, one a measure, with the measures' own results.

    python Testing/tools/make_measure_pictures.py [FOLDER]

Shapes are made here by formula; no patient's image is used.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / name) for name in ("OncoSegment", "Testing")]

from helpers_spheres import image_of_ball  # noqa: E402
from OncoLib.boundary import boundary_points_ijk, points_ras_mm  # noqa: E402
from OncoLib.diameters import in_plane_diameters, maximum_diameter  # noqa: E402
from OncoLib.filters.mesh import mesh_of, mesh_volume_ml, surface_area_mm2  # noqa: E402
from OncoLib.intensity import intensity_statistics  # noqa: E402
from OncoLib.outline import outline_of  # noqa: E402
from OncoLib.overlap import agreement  # noqa: E402
from OncoLib.partial_volume import core_of, dilated, partial_volume  # noqa: E402
from OncoLib.surface_distance import nearest_mm, surface_elements  # noqa: E402

FOLDER = ROOT / "Resources" / "Documentation" / "Pictures"
PAPER, INK, GRID, FAINT = (255, 255, 255), (35, 40, 48), (222, 226, 231), (120, 128, 138)
LESION, SECOND, LINE, SHORT = (240, 196, 120), (126, 178, 221), (192, 40, 40), (24, 98, 168)
FINE = 3
"""Pictures are drawn so many times larger and reduced, for smooth edges."""


NARROWEST = 440
"""Pixels: the lines below a drawing fit into this width."""


class Sheet:
    """A sheet that is drawn in mm: x to the right, y down."""

    def __init__(self, width_mm: float, height_mm: float, pixels_per_mm: float, foot: int = 1) -> None:
        self.scale = pixels_per_mm * FINE
        self.size = (max(NARROWEST, round(width_mm * pixels_per_mm)), round(height_mm * pixels_per_mm))
        self.left = (self.size[0] * FINE - width_mm * self.scale) / 2
        self.picture = Picture.new("RGB", (self.size[0] * FINE, (self.size[1] + 22 * foot + 8) * FINE), PAPER)
        self.draw = ImageDraw.Draw(self.picture)
        self.lines = 0

    def at(self, place) -> tuple[float, float]:
        """Pixels of a place in mm."""
        return self.left + float(place[0]) * self.scale, float(place[1]) * self.scale

    def squares(self, pixels: np.ndarray, step: float, color) -> None:
        """Fills the set pixels `[row, column]`; pixel 0, 0 has its center at half a step."""
        for row, column in np.argwhere(pixels):
            corner = np.array([column, row]) * step
            self.draw.rectangle((*self.at(corner), *self.at(corner + step)), fill=color, outline=GRID, width=FINE // 2)

    def grid(self, columns: int, rows: int, step: float) -> None:
        """Lines between pixels."""
        for column in range(columns + 1):
            self.draw.line((*self.at((column * step, 0)), *self.at((column * step, rows * step))), fill=GRID, width=FINE // 2)
        for row in range(rows + 1):
            self.draw.line((*self.at((0, row * step)), *self.at((columns * step, row * step))), fill=GRID, width=FINE // 2)

    def line(self, start, end, color=LINE, width: float = 2.0) -> None:
        """A line between two places."""
        self.draw.line((*self.at(start), *self.at(end)), fill=color, width=round(width * FINE))

    def caliper(self, start, end, color) -> None:
        """A line with end marks, as a reader's ruler."""
        start, end = np.array(start, float), np.array(end, float)
        along = (end - start) / max(np.linalg.norm(end - start), 1e-9)
        aside = np.array([-along[1], along[0]]) * 5 * FINE / self.scale
        self.line(start, end, color, 2.5)
        for place in (start, end):
            self.line(place - aside, place + aside, color, 2.5)

    def dot(self, place, color, radius: float = 2.5) -> None:
        """A round mark."""
        x, y = self.at(place)
        self.draw.ellipse((x - radius * FINE, y - radius * FINE, x + radius * FINE, y + radius * FINE), fill=color)

    def text(self, place, words: str, color=INK, size: int = 14) -> None:
        """Words with their upper left corner at a place."""
        self.draw.text(self.at(place), words, fill=color, font=ImageFont.load_default(size * FINE))

    def foot(self, words: str, color=INK) -> None:
        """One line below the drawing."""
        y = (self.size[1] + 4 + 22 * self.lines) * FINE
        self.draw.text((8 * FINE, y), words, fill=color, font=ImageFont.load_default(14 * FINE))
        self.lines += 1

    def save(self, path: Path) -> None:
        """Reduced, with few colors: some kilobytes."""
        size = (self.picture.width // FINE, self.picture.height // FINE)
        self.picture.resize(size, Picture.Resampling.LANCZOS).quantize(64).save(path, optimize=True)


def blob(size: int, center, radii, degrees: float = 0.0, bump: float = 0.0) -> np.ndarray:
    """One slice with an ellipse whose edge waves."""
    row, column = np.indices((size, size)) - np.array(center)[:, None, None]
    angle = np.radians(degrees)
    along, aside = column * np.cos(angle) + row * np.sin(angle), row * np.cos(angle) - column * np.sin(angle)
    wave = 1 + bump * np.cos(3 * np.arctan2(aside, along) + 0.7)
    return (along / radii[0]) ** 2 + (aside / radii[1]) ** 2 <= wave**2


def contour(sheet: Sheet, pixels: np.ndarray, step: float, color=INK, width: float = 2.0) -> None:
    """The half-level outline of a slice."""
    for start, end in outline_of(pixels, (step, step)).segments_mm[:, :, ::-1] + step / 2:
        sheet.line(start, end, color, width)


def volume(folder: Path) -> None:
    """Voxel sum and mesh of one slice."""
    pixels = blob(13, (6.2, 6.0), (5.2, 3.9), 25, 0.08)
    grid = np.eye(4)
    sheet = Sheet(13, 13, 28, foot=2)
    sheet.squares(pixels, 1, LESION)
    sheet.grid(13, 13, 1)
    contour(sheet, pixels, 1, SHORT, 2.5)
    for row, column in np.argwhere(pixels):
        sheet.dot((column + 0.5, row + 0.5), FAINT, 2)
    mesh = mesh_volume_ml(mesh_of(np.repeat(pixels[None], 9, axis=0), grid)) * 1000 / 9
    sheet.foot(f"Orange: voxels whose center is inside, {pixels.sum()} cubic mm a slice")
    sheet.foot(f"Blue: outline of the mesh, {mesh:.1f} cubic mm a slice; it cuts the corners", SHORT)
    sheet.save(folder / "measure-volume.png")


def surface(folder: Path) -> None:
    """The triangles of a mesh, shaded, from obliquely above."""
    k, j, i = np.indices((9, 26, 26)) - np.array([4, 12.6, 12.6])[:, None, None, None]
    mask = (i / 11) ** 2 + (j / 8) ** 2 + (3 * k / 9.5) ** 2 <= 1 + 0.15 * np.sin(i / 3)
    mesh = mesh_of(mask, np.diag([1.0, 1.0, 3.0, 1.0]))
    turn = np.array([[0.87, 0.5, 0], [-0.24, 0.42, 0.87], [0.43, -0.75, 0.48]])
    corners = mesh.corners_ras_mm @ turn.T
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    shift = corners.reshape(-1, 3).min(axis=0)[:2] - 2
    extent = corners.reshape(-1, 3).max(axis=0)[:2] - shift + 2
    sheet = Sheet(extent[0], extent[1], 13)
    for number in np.argsort(corners[:, :, 2].mean(axis=1)):
        if normals[number, 2] > 0:
            light = 0.35 + 0.65 * max(0.0, float(normals[number] @ (0.35, 0.5, 0.79)))
            places = corners[number, :, :2] - shift
            places[:, 1] = extent[1] - places[:, 1]
            color = tuple(int(part * light) for part in LESION)
            sheet.draw.polygon([sheet.at(place) for place in places], fill=color, outline=tuple(int(p * 0.8) for p in color))
    sheet.foot(f"{len(mesh.triangles)} triangles, {surface_area_mm2(mesh):.0f} square mm; slices of 3 mm show as steps")
    sheet.save(folder / "measure-surface.png")


def in_plane(folder: Path) -> None:
    """Longest and perpendicular diameter with the boundary points."""
    pixels = blob(30, (14.2, 14.6), (12.2, 7.4), 32, 0.12)
    found = in_plane_diameters(pixels[None], np.eye(4))
    sheet = Sheet(30, 30, 14, foot=2)
    sheet.squares(pixels, 1, LESION)
    sheet.grid(30, 30, 1)
    contour(sheet, pixels, 1, FAINT, 1.5)
    points = boundary_points_ijk(pixels[None])
    for place in points[points[:, 2] == 0][:, :2] + 0.5:
        sheet.dot(place, INK, 1.6)
    for line, color in ((found.longest, LINE), (found.perpendicular, SHORT)):
        sheet.caliper(np.array(line.start_ras_mm[:2]) + 0.5, np.array(line.end_ras_mm[:2]) + 0.5, color)
    sheet.foot(f"Longest between two boundary points (dots): {found.longest.length_mm:.1f} mm", LINE)
    sheet.foot(f"Longest chord inside, at a right angle: {found.perpendicular.length_mm:.1f} mm", SHORT)
    sheet.save(folder / "measure-in-plane.png")


def maximum(folder: Path) -> None:
    """The same lesion in 3-D: a coronal projection with slices of 5 mm."""
    k, j, i = np.indices((11, 44, 44)) - np.array([5, 21.5, 21.5])[:, None, None, None]
    mask = ((i - 2.2 * k) / 9) ** 2 + (j / 8) ** 2 + (k * 5 / 24) ** 2 <= 1
    grid = np.diag([1.0, 1.0, 5.0, 1.0])
    whole, plane = maximum_diameter(mask, grid), in_plane_diameters(mask, grid)
    sheet = Sheet(44, 55, 7.5, foot=2)
    for row, column in np.argwhere(mask.any(axis=1)):
        corner = np.array([column, 50 - 5 * row])
        sheet.draw.rectangle((*sheet.at(corner), *sheet.at(corner + (1, 5))), fill=LESION, outline=GRID)
    for line, color in ((whole, LINE), (plane.longest, SHORT)):
        ends = [(end[0] + 0.5, 52.5 - end[2]) for end in (line.start_ras_mm, line.end_ras_mm)]
        sheet.caliper(*ends, color)
    sheet.foot(f"3-D maximum, seen from the front: {whole.length_mm:.1f} mm", LINE)
    sheet.foot(f"Longest in an axial slice: {plane.longest.length_mm:.1f} mm", SHORT)
    sheet.save(folder / "measure-maximum-3d.png")


def gray_squares(sheet: Sheet, values: np.ndarray, low: float, high: float) -> None:
    """A slice in gray, pixels of 1 mm."""
    for (row, column), value in np.ndenumerate(values):
        level = int(255 * np.clip((value - low) / (high - low), 0, 1))
        sheet.draw.rectangle((*sheet.at((column, row)), *sheet.at((column + 1, row + 1))), fill=(level,) * 3)


def intensity(folder: Path) -> None:
    """A slice with its outline, and the values inside as a histogram."""
    scan = image_of_ball(18, (1.0, 1.0, 1.0), (0.2, 0.1, -0.3), seed=3)
    middle = scan.shape[0] // 2
    part = scan[middle, 6:-6, 6:-6] + 20
    rows, columns = np.indices(part.shape) - np.array(part.shape)[:, None, None] / 2 + 0.5
    inside = rows**2 + columns**2 <= 81
    found = intensity_statistics(part[inside], "HU")
    sheet = Sheet(2 * part.shape[1] + 4, part.shape[0], 10, foot=2)
    gray_squares(sheet, part, -60, 180)
    contour(sheet, inside, 1, LINE, 2)
    counts, edges = np.histogram(part[inside], bins=16, range=(0, 160))
    left, bottom, width, height = part.shape[1] + 4, part.shape[0] - 3, part.shape[1] - 1, part.shape[0] - 6
    for count, edge in zip(counts, edges):
        corner = (left + edge / 160 * width, bottom - count / counts.max() * height)
        sheet.draw.rectangle(
            (*sheet.at(corner), *sheet.at((corner[0] + width / 16, bottom))), fill=LESION, outline=PAPER, width=FINE
        )
    for name, color in (("intensity_mean", LINE), ("intensity_p5", SHORT), ("intensity_p95", SHORT)):
        x = left + found[name].value / 160 * width
        sheet.line((x, bottom), (x, 1.5), color, 2)
    sheet.text((left, bottom + 0.4), "0", FAINT, 12)
    sheet.text((left + width - 3.5, bottom + 0.4), "160 HU", FAINT, 12)
    values = {name: item.value for name, item in found.items()}
    sheet.foot(f"Mean {values['intensity_mean']:.0f}, SD {values['intensity_sd']:.0f}, {inside.sum()} voxels", LINE)
    sheet.foot(f"5th and 95th percentile {values['intensity_p5']:.0f} and {values['intensity_p95']:.0f} HU", SHORT)
    sheet.save(folder / "measure-values.png")


def partial(folder: Path) -> None:
    """Core, edge and shell of the partial-volume estimate."""
    spacing = (1.0, 1.0, 1.0)
    scan = image_of_ball(14, spacing, (0.2, 0.3, -0.3), seed=5)
    k, j, i = np.indices(scan.shape) - np.array(scan.shape)[:, None, None, None] / 2 + 0.5
    mask = (k - 0.2) ** 2 + (j - 0.3) ** 2 + (i + 0.3) ** 2 <= 6.6**2
    near, core = dilated(mask, [2, 2, 2]), core_of(mask, [2, 2, 2], spacing, 0)
    shell = dilated(near, [2, 2, 2]) & ~near
    box = tuple(slice(int(at.min()), int(at.max()) + 1) for at in np.nonzero(mask))
    found = partial_volume(scan, mask[box], box, spacing)
    at, cut = scan.shape[0] // 2, slice(1, -1)
    sheet = Sheet(scan.shape[1] - 2, scan.shape[2] - 2, 14, foot=3)
    gray_squares(sheet, scan[at, cut, cut], -50, 150)
    for region, color in ((core, LINE), (mask, LESION), (near, SECOND), (near | shell, SHORT)):
        contour(sheet, region[at, cut, cut], 1, color, 2.5)
    truth = np.pi / 6 * 14**3 / 1000
    sheet.foot("Mean inside: within red. Mean outside: between the blue lines.")
    sheet.foot("Counted in parts: within light blue. Orange: mask, 0.4 mm too small.")
    sheet.foot(f"True {truth:.3f} ml, voxel sum {mask.sum() / 1000:.3f} ml, estimate {found.volume_ml:.3f} ml", LINE)
    sheet.save(folder / "measure-partial-volume.png")


def distance(folder: Path) -> None:
    """Shortest distance between two outlines."""
    organ, lesion = blob(34, (21, 13), (11.5, 9), -30, 0.06), blob(34, (6.5, 27), (5, 3.6), 20, 0.05)
    places = [boundary_points_ijk(part[None]) for part in (lesion, organ)]
    first, second = (points_ras_mm(part[part[:, 2] == 0], np.eye(4))[:, :2] + 0.5 for part in places)
    gaps = np.linalg.norm(first[:, None] - second[None], axis=2)
    ends = np.unravel_index(gaps.argmin(), gaps.shape)
    sheet = Sheet(34, 34, 11)
    sheet.squares(organ, 1, SECOND)
    sheet.squares(lesion, 1, LESION)
    contour(sheet, organ, 1, SHORT)
    contour(sheet, lesion, 1, INK)
    sheet.caliper(first[ends[0]], second[ends[1]], LINE)
    sheet.text((25, 5.8), "lesion", INK)
    sheet.text((11, 20), "organ", INK)
    sheet.foot(f"Shortest distance between boundary points: {gaps.min():.1f} mm", LINE)
    sheet.save(folder / "measure-distance.png")


def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two readings of one lesion: the second missed a lobe and lies a little aside."""
    first = blob(30, (14.5, 13.0), (10.4, 6.8), 25, 0.07) | blob(30, (20.5, 22.5), (4.2, 3.6), 0)
    return first, blob(30, (13.6, 13.6), (10.4, 6.4), 32, 0.07)


def overlap(folder: Path) -> None:
    """What Dice and IoU count."""
    first, second = pair()
    sheet = Sheet(30, 30, 13)
    for region, color in ((first & ~second, LESION), (second & ~first, SECOND), (first & second, (174, 188, 160))):
        sheet.squares(region, 1, color)
    contour(sheet, first, 1, LINE)
    contour(sheet, second, 1, SHORT)
    found = agreement(first[None], second[None], np.eye(4)).measurements
    counts = f"{(first & second).sum()} in both, {(first | second).sum()} in either"
    sheet.foot(f"{counts}: Dice {found['dice'].value:.2f}, IoU {found['iou'].value:.2f}")
    sheet.save(folder / "measure-overlap.png")


def surfaces(folder: Path) -> None:
    """Surface elements of both readings, by their distance to the other."""
    first, second = (np.repeat(part[None], 9, axis=0) for part in pair())
    sheet = Sheet(30, 30, 13, foot=2)
    contour(sheet, first[4], 1, LINE, 1)
    contour(sheet, second[4], 1, SHORT, 1)
    elements = [surface_elements(mask, (1.0, 1.0, 1.0))[0] for mask in (first, second)]
    for one, other in (elements, elements[::-1]):
        gaps = nearest_mm(one, other)
        chosen = np.abs(one[:, 0] - 4.5) < 0.1
        for place, gap in zip(one[chosen][:, :0:-1] + 0.5, gaps[chosen]):
            sheet.dot(place, (60, 150, 80) if gap <= 1 else (222, 170, 30) if gap <= 2 else LINE, 3.5)
    found = {name: item.value for name, item in agreement(first, second, np.eye(4)).measurements.items()}
    sheet.foot(f"Green within 1 mm, yellow 2: NSD {found['nsd_1mm']:.2f} and {found['nsd_2mm']:.2f}")
    sheet.foot(f"HD95 {found['hd95_mm']:.1f}, HD {found['hd_mm']:.1f}, mean {found['assd_mm']:.2f} mm")
    sheet.save(folder / "measure-surface-distance.png")


def main() -> int:
    """All pictures into the folder of the documentation, or another."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    for draw in (volume, surface, in_plane, maximum, intensity, partial, distance, overlap, surfaces):
        draw(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
