"""Qt pieces that every panel shares."""
