"""The picture of a lesion at two dates, with the choice of how to look at it."""

from __future__ import annotations

import slicer  # noqa: F401  (Slicer's own Python modules come with it)
from slicer.i18n import tr as _

from LongitudinalCompareLib.pair_picture import MODES
from OncoLib.errors import OncoError
from OncoLib.picture import PLANES
from OncoLib.widgets.pictures import pixmap_of


def mode_titles() -> dict[str, str]:
    """How the list calls each way to look."""
    return {"checkerboard": _("Checkerboard"), "swipe": _("Swipe"), "contours": _("Contours over the later date")}


def plane_titles() -> dict[str, str]:
    """How the list calls each plane."""
    return {"axial": _("Axial"), "coronal": _("Coronal"), "sagittal": _("Sagittal")}


class PairView:
    """Reads `pictureModeSelector`, `pictureDirectionSelector` and `swipeSlider`; fills `pictureLabel` and `pictureNoteLabel`.

    tell(sentence, problem=False) shows a sentence.
    """

    def __init__(self, ui, tell) -> None:
        self.ui, self._tell = ui, tell
        self._images = self._transform = self._region = self._pair = None
        self._dates = ("", "")
        for name in MODES:
            ui.pictureModeSelector.addItem(mode_titles()[name], name)
        for name in PLANES:
            ui.pictureDirectionSelector.addItem(plane_titles()[name], name)
        ui.pictureModeSelector.connect("currentIndexChanged(int)", lambda _index: self._draw())
        ui.pictureDirectionSelector.connect("currentIndexChanged(int)", lambda _index: self._sample())
        ui.swipeSlider.connect("valueChanged(double)", lambda _value: self._draw())
        self.clear()

    def clear(self) -> None:
        """No picture."""
        self._images = self._transform = self._region = self._pair = None
        self._draw()

    def show(self, images, transform, region, dates: tuple[str, str]) -> None:
        """A lesion at two dates. images: `PairImages`. region: a `RegionAlignment`, None for the image as a whole. dates: of the
        baseline and the follow-up.
        """
        self._images, self._transform, self._region, self._dates = images, transform, region, dates
        self._sample()

    def _sample(self) -> None:
        if self._images is None:
            return
        try:
            self._pair = self._images.pair(self._transform, self.ui.pictureDirectionSelector.currentData, self._region)
        except OncoError as error:
            self.clear()
            self._tell(str(error), problem=True)
            return
        self._draw()

    def _draw(self) -> None:
        ui, mode = self.ui, self.ui.pictureModeSelector.currentData
        shown = self._pair is not None
        for widget in (ui.pictureModeSelector, ui.pictureDirectionSelector, ui.pictureLabel, ui.pictureNoteLabel):
            widget.setVisible(shown)
        ui.swipeSlider.setVisible(shown and mode == "swipe")
        if shown:
            ui.pictureLabel.setPixmap(pixmap_of(MODES[mode](self._pair, ui.swipeSlider.value / 100)))
            ui.pictureNoteLabel.text = self._note(mode)

    def _note(self, mode: str) -> str:
        first, second = self._dates
        texts = {
            "checkerboard": _("Warm squares: {first}; cool squares: {second}."),
            "swipe": _("Left of the line: {first}; right of it: {second}."),
            "contours": _("Scan of {second}. Yellow: outline of {first}; blue: outlines of {second}."),
        }
        return texts[mode].format(first=first, second=second)
