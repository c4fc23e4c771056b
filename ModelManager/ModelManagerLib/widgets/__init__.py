"""Qt pieces of the Models panel: collect, call, show."""
