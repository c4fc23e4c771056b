"""What needs VTK's C++ filters and no node: surfaces as meshes, and their files. Safe in any thread or process."""

from __future__ import annotations
