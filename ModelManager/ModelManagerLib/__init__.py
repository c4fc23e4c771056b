"""Floor 1: which models exist and what this machine can run."""
