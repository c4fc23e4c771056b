"""MRML rooms of floor 2: results as Slicer files."""
