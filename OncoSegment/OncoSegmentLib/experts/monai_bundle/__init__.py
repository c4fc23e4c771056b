"""The expert for MONAI bundles and Auto3DSeg models."""
