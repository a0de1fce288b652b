"""Tasks on several threads: each once, errors in order, nothing waits for ever."""

from __future__ import annotations

import os
import threading
import time
from functools import partial

import pytest

from constrain.threads import in_threads
from tests.timing import within


@pytest.mark.parametrize("n_threads", [0, 1, 2, 5, 100])
@pytest.mark.parametrize("n_tasks", [0, 1, 2, 30])
def test_each_task_is_run_once(n_threads: int, n_tasks: int) -> None:
    done: list[int] = []
    in_threads([partial(done.append, i) for i in range(n_tasks)], n_threads)
    assert sorted(done) == list(range(n_tasks))


def test_tasks_run_at_the_same_time() -> None:
    both = threading.Barrier(2)
    with within(20):
        in_threads([partial(both.wait, 10)] * 2, 2)


def test_no_more_threads_than_wanted() -> None:
    running, most = [0], [0]
    lock = threading.Lock()

    def task() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.002)
        with lock:
            running[0] -= 1

    in_threads([task] * 20, 2)
    assert most[0] == 2


@pytest.mark.parametrize("n_threads", [1, 3])
def test_the_first_error_is_raised_and_nothing_runs_on(n_threads: int) -> None:
    done: list[int] = []

    def task(number: int) -> None:
        time.sleep(0.005 * (3 - number) if number < 3 else 0.001)
        if number in (0, 1):
            raise ValueError(f"task {number}")
        done.append(number)

    with pytest.raises(ValueError, match="task 0"):
        in_threads([partial(task, i) for i in range(200)], n_threads)
    seen = len(done)
    time.sleep(0.02)
    assert len(done) == seen < 190


def test_tasks_may_use_threads_themselves() -> None:
    done: list[int] = []

    def outer() -> None:
        in_threads([partial(done.append, 1)] * 3, 4)

    with within(20):
        in_threads([outer] * 20, 64)
    assert len(done) == 60


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own() -> None:
    in_threads([partial(time.sleep, 0.01)] * 4, 4)
    child = os.fork()
    if child == 0:
        both = threading.Barrier(2)
        try:
            in_threads([partial(both.wait, 10)] * 2, 2)
        except threading.BrokenBarrierError:
            os._exit(1)
        os._exit(0)
    with within(20):
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
