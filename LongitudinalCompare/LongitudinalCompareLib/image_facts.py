"""What the values of a date's image tell that its file does not."""

from __future__ import annotations

from OncoLib.image import Image
from OncoSegmentLib.refine.sam.windows import taken_for_ct

LIKE_CT = "nobody said what the image is; its values look like those of a CT"
"""A note of a date. It is a hint and no more: nothing is measured or registered by it."""


def value_notes(image: Image) -> tuple[str, ...]:
    """Notes on an image whose modality is not known."""
    return (LIKE_CT,) if taken_for_ct(image) else ()
