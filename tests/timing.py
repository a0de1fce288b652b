"""A limit in seconds for what must never hang, and fewer examples for what is slow."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import settings


def share(part: int) -> settings:
    """The profile's number of examples divided by `part`, for a property that is slow."""
    default = settings.default
    assert default is not None
    return settings(max_examples=max(1, default.max_examples // part))


class TooSlowError(AssertionError):
    """Something took longer than it may."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail if the body takes longer than `seconds`; where signals work, interrupt it then."""
    can_interrupt = threading.current_thread() is threading.main_thread()
    can_interrupt &= hasattr(signal, "setitimer")

    def interrupt(signum: int, frame: object) -> None:
        raise TooSlowError(f"it takes longer than {seconds:g} s")

    started = time.monotonic()
    before = signal.signal(signal.SIGALRM, interrupt) if can_interrupt else None
    try:
        if can_interrupt:
            # Again and again: an exception raised in a destructor or a callback is lost.
            signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
        yield
    finally:
        if can_interrupt:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    took = time.monotonic() - started
    if took > seconds:
        raise TooSlowError(f"it took {took:.1f} s, and {seconds:g} s are allowed")
