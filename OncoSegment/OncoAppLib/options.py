"""Arguments that every verb of the command line has."""

from __future__ import annotations


def add_common(verb) -> None:
    """`--json` and `--debug`, the same for every verb."""
    verb.add_argument("--json", action="store_true", help="print the result, or the error, as JSON")
    verb.add_argument("--debug", action="store_true", help="show the trace of an unexpected error")
