"""Refinement by clicks: prompts in patient space, engines that answer them, and a session with undo; no Qt, no node."""
