"""Floor 0: images, segmentations, codes, measures and audit; no model, no date."""

__version__ = "0.1.0"
