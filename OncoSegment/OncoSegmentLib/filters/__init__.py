"""VTK and Slicer's own filters of this floor: process-safe, no node."""
