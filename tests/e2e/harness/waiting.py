"""Waiting for a condition, bounded, with words for what was waited for."""

import time


class NotSo(AssertionError):
    """What was waited for did not come about."""


def until(is_so, what, patience: float = 15, every: float = 0.02) -> None:
    """Waits until `is_so()`; `what` is a sentence, or a function that says how things stand when patience ends."""
    deadline = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > deadline:
            raise NotSo(f"not within {patience} s: {what() if callable(what) else what}")
        time.sleep(every)
