"""Click refinement by MONAI bundles that take points: VISTA3D and others made like it."""
