"""Response criteria, one file each: pure functions from measured sizes to a proposed category with its explanation."""
