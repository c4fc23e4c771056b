"""The spine: which level a vertebra is, whether that can be believed, and what a reader changes about it."""
