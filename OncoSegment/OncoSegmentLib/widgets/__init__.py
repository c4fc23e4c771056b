"""Qt pieces of the OncoSegment panel: collect, call, show."""
