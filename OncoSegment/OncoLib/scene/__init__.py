"""MRML rooms of floor 0: nodes and logics of slicer-core or Slicer, no Qt."""
