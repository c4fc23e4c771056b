"""Dates in Slicer's scene."""
