"""Floor 3: timepoints of one patient side by side."""
