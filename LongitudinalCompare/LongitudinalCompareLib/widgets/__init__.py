"""Qt pieces of the panel."""
