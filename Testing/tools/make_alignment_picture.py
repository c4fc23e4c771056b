"""Draws the picture of `Resources/Documentation/alignment.md`: a metastasis, and the likeness of its surroundings at all shifts.

python Testing/tools/make_alignment_picture.py [FILE]
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / name) for name in ("OncoSegment", "LongitudinalCompare")]

from LongitudinalCompareLib.alignment import alignment  # noqa: E402
from LongitudinalCompareLib.alignment_box import STEP_MM, Changing, Region  # noqa: E402
from LongitudinalCompareLib.alignment_search import MARGINS_MM, Box  # noqa: E402
from OncoLib.image import Image  # noqa: E402
from OncoLib.phantom.acquisition import Acquisition  # noqa: E402
from OncoLib.phantom.patient import reference_patient  # noqa: E402
from OncoLib.phantom.scan import scan  # noqa: E402
from OncoLib.phantom.solids import rigid  # noqa: E402
from OncoLib.registration.transform import LinearTransform  # noqa: E402

FILE = ROOT / "Resources" / "Documentation" / "Pictures" / "alignment.png"
LESION, HALF_MM, OFF_MM = "liver_1", 70.0, (-7.0, 0.0, 4.0)
SIDE, GAP, CAPTION = 300, 14, 58
PAPER, INK, GIVEN, BEST = (255, 255, 255), (36, 40, 48), (220, 60, 40), (20, 110, 220)


def main() -> None:
    """Draws and writes."""
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    patient = reference_patient()
    lesion = patient.lesion(LESION)
    box = tuple((one - HALF_MM, one + HALF_MM) for one in lesion.center_mm)
    dates = [
        Acquisition(region=box, spacing_mm=(1.5, 1.5, 3.0), samples=(1, 1, 2)),
        Acquisition(region=box, spacing_mm=(1.3, 1.3, 5.0), samples=(1, 1, 2), turn_degrees=(3, -4, 5), growth={LESION: 0.3}),
    ]
    first, second = (scan(patient, one, seed=number).image for number, one in enumerate(dates))
    region = Region(lesion.name, tuple(dates[0].pose[:3, :3] @ lesion.center_mm + dates[0].pose[:3, 3]), max(lesion.half_axes_mm))
    right = LinearTransform(dates[1].pose @ np.linalg.inv(dates[0].pose))
    panels = []
    for name, shift in (("Right alignment", (0.0, 0.0, 0.0)), ("Off by 8 mm", OFF_MM)):
        transform = right.then(LinearTransform(rigid((0, 0, 0), shift)))
        found = alignment(first, second, transform, [region]).regions[0]
        lines = (f"{name}: {found.verdict}", *textwrap.wrap(" ".join(found.reasons), 44))
        panels.append((likeness_map(first, second, transform, region, found.numbers["half_box_mm"]), lines))
    half = found.numbers["half_box_mm"]
    said = ("First scan: the lesion, and how far was looked", "(what is nearer counts more)")
    panels.insert(0, (slice_of(first, region, half), said))
    sheet = Picture.new("RGB", (len(panels) * (SIDE + GAP) + GAP, SIDE + CAPTION + GAP), PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, (picture, lines) in enumerate(panels):
        left = GAP + number * (SIDE + GAP)
        sheet.paste(picture, (left, GAP))
        for row, line in enumerate(lines):
            pen.text((left, GAP + SIDE + 6 + 18 * row), line, fill=INK, font=font)
    sheet.save(file, optimize=True)
    print(f"{file} written")


def slice_of(image: Image, region: Region, half_mm: float) -> Picture.Image:
    """The axial slice through the lesion as on a light box, with its ball and the box."""
    k = round((np.linalg.inv(image.ijk_to_ras) @ (*region.center_ras, 1.0))[2])
    shades = np.clip((image.voxels[k] + 110.0) / 400.0, 0, 1) * 255  # i runs to the left already, j to the back
    picture = Picture.fromarray(shades.astype(np.uint8)).convert("RGB").resize((SIDE, SIDE))
    pen, mm = ImageDraw.Draw(picture), SIDE / (image.shape_kji[2] * image.spacing_mm[0])
    center = (np.linalg.inv(image.ijk_to_ras) @ (*region.center_ras, 1.0))[:2] * image.spacing_mm[0] * mm
    for radius, color in ((region.radius_mm, GIVEN), (half_mm, BEST)):
        ends = [tuple(center - radius * mm), tuple(center + radius * mm)]
        (pen.ellipse if color is GIVEN else pen.rectangle)(ends, outline=color, width=2)
    return picture


def likeness_map(first: Image, second: Image, transform: LinearTransform, region: Region, half_mm: float) -> Picture.Image:
    """Likeness at shifts to the sides and towards head and feet, the best along the third axis; seen from the front."""
    boxes = [Box(first, second, transform.moved, region, Changing.of([region], first), margin) for margin in MARGINS_MM]
    box = next(one for one in boxes if one.steps * STEP_MM == half_mm)
    box.search()
    field = box.field
    best = np.array([[field.likeness(value) for value in row] for row in field.values.min(axis=1)])
    shades = np.clip(best[::-1, ::-1], 0, 1) * 255
    picture = Picture.fromarray(shades.astype(np.uint8)).resize((SIDE, SIDE), Picture.Resampling.BICUBIC).convert("RGB")
    pen, scale = ImageDraw.Draw(picture), SIDE / (best.shape[0] * STEP_MM)
    for shift, color in ((np.zeros(3), GIVEN), (field.best_mm, BEST)):
        x, y = SIDE / 2 - shift[0] * scale, SIDE / 2 - shift[2] * scale
        pen.line([(x - 7, y), (x + 7, y)], fill=color, width=2)
        pen.line([(x, y - 7), (x, y + 7)], fill=color, width=2)
    return picture


if __name__ == "__main__":
    main()
