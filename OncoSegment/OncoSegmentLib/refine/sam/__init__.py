"""Engine `sam`: image encoders of the SAM family slice by slice, and a way from slice to slice; `engine` has its `make`."""
