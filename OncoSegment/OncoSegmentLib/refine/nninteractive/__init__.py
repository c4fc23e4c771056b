"""Click refinement by nnInteractive's own session, in this process or on its server."""
