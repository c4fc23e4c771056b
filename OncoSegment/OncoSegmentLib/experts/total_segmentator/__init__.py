"""The TotalSegmentator expert: the package's own code on its own weights, run in memory."""
