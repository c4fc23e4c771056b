"""Several images of one patient as the channels of one model: found by name or by DICOM, put on one grid, never guessed."""
