"""Timepoints in the scene: proposed from what is loaded, shown side by side."""
