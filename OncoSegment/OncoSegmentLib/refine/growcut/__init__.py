"""The engine `growcut`: clicks answered by Slicer's GrowCut and a model of what was clicked, without any weights."""

from __future__ import annotations

from OncoSegmentLib.refine.growcut.engine import CAPABILITIES, GrowCut, make

__all__ = ["CAPABILITIES", "GrowCut", "make"]
