"""How a round trip says what it checked: one line a check, `ok - ...` or `not ok - ...`, which xtask counts."""

import sys

_failed = 0


def check(what, holds):
    """Prints one line and remembers a failure."""
    global _failed
    print(f"{'ok' if holds else 'not ok'} - {what}", flush=True)
    _failed += not holds


def url():
    """The broker's address, the script's only argument."""
    return sys.argv[1]


def finish():
    """Exits with 1 if any check failed."""
    sys.exit(1 if _failed else 0)
