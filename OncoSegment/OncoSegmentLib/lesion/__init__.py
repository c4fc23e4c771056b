"""Lesions of a segmentation: limited to their organ, one by one, and told where they lie."""
