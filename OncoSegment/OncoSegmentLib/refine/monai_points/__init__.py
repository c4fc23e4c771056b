"""Click refinement by MONAI bundles that take points: VISTA3D and others made like it."""

from __future__ import annotations

from OncoSegmentLib.refine.monai_points.engine import make

__all__ = ["make"]
