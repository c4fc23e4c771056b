"""Engine `sam`: image encoders of the SAM family slice by slice, and a way from slice to slice; see `engine`."""

from __future__ import annotations

from OncoSegmentLib.refine.sam.engine import FULL as CAPABILITIES
from OncoSegmentLib.refine.sam.engine import make

__all__ = ["CAPABILITIES", "make"]
