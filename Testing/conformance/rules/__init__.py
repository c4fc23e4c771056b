"""The rules as functions: each takes the root of a tree and returns one line for each place that breaks it."""
