"""Floor 2: how to get a segmentation (experts, profiles, regions of interest, engine, DICOM)."""
