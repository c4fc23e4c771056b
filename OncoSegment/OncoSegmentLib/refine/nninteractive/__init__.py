"""Click refinement by nnInteractive's own session, in this process or on its server."""

from __future__ import annotations

from OncoSegmentLib.refine.nninteractive.engine import make

__all__ = ["make"]
