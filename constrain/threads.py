"""`in_threads`: independent tasks on several threads, for work that releases the GIL."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

Task = Callable[[], None]


def in_threads(tasks: Sequence[Task], n_threads: int) -> None:
    """Run each task once. The caller's thread takes part, so it never waits for a busy pool.

    Args:
        tasks: in the order in which they are begun; none of them waits for another.
        n_threads: how many run at once at most, the caller's own included.

    Raises:
        Exception: what a task raised, of several the first one's. What was not begun by then is
            left out; nothing runs on.
    """
    if n_threads <= 1 or len(tasks) <= 1:
        for task in tasks:
            task()
        return
    waiting = deque(enumerate(tasks))
    failed: list[tuple[int, BaseException]] = []

    def work() -> None:
        while waiting:
            try:
                place, task = waiting.popleft()
            except IndexError:  # somebody else was faster
                return
            try:
                task()
            except BaseException as error:  # noqa: BLE001 - raised by the caller's thread
                failed.append((place, error))
                waiting.clear()

    helpers = [_pool().submit(work) for _ in range(min(n_threads, len(tasks)) - 1)]
    work()
    _finish(helpers)
    if failed:
        raise min(failed, key=lambda one: one[0])[1]


def _finish(helpers: Sequence[Future[None]]) -> None:
    """Wait for those that have begun; the others have nothing left to do."""
    for helper in helpers:
        if not helper.cancel():
            helper.result()


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - not at every start

    return ThreadPoolExecutor(os.cpu_count(), "constrain")


if hasattr(os, "register_at_fork"):
    # A child has the pool, and none of its threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)
