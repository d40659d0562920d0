import multiprocessing
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from sparsectr.kernels import threads
from sparsectr.kernels.threads import count_threads, one_torch_thread, run_parts


@pytest.fixture(params=[1, 2, 3])
def n_threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_every_part_runs_once_with_the_arguments(n_threads):
    seen = []
    run_parts(lambda part, *rest: seen.append((part, rest)), 50, "a", 2)
    assert sorted(seen) == [(part, ("a", 2)) for part in range(50)]


def test_no_more_threads_than_torch_may_use(n_threads):
    seen = Counter()

    def work(part):
        seen[threading.get_ident()] += 1
        time.sleep(0.002)

    run_parts(work, 40)
    assert 1 <= len(seen) <= n_threads
    if n_threads == 1:
        assert set(seen) == {threading.get_ident()}


def test_no_parts_are_no_work(n_threads):
    run_parts(lambda part: 1 / 0, 0)


def test_errors_of_any_part_arrive(n_threads):
    def work(part):
        time.sleep(0.001)
        if part == 7:
            raise ValueError("part 7")

    with pytest.raises(ValueError, match="part 7"):
        run_parts(work, 8)


def _sum_in_child(queue):
    torch.set_num_threads(2)
    total = []
    run_parts(total.append, 10)
    queue.put(sum(total))


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run_parts(lambda part: time.sleep(0.001), 10)
    finally:
        torch.set_num_threads(before)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_sum_in_child, args=(queue,))
    child.start()
    assert queue.get(timeout=30) == 45
    child.join(30)
    assert child.exitcode == 0


def test_a_helper_that_has_not_begun_is_not_waited_for():
    """A busy machine may let it begin much later."""
    before, opened = torch.get_num_threads(), threading.Event()
    torch.set_num_threads(2)
    pool, done = threads._pool(), []
    blocked = [pool.submit(opened.wait, 60) for _ in range(pool._max_workers)]
    try:
        run_parts(done.append, 10)
        assert sorted(done) == list(range(10))
        assert not any(task.done() for task in blocked)
    finally:
        opened.set()
        torch.set_num_threads(before)


# One thread of torch ---------------------------------------------------------------------

needs_openmp = pytest.mark.skipif(threads._setters() is None, reason="torch without OpenMP")


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


@needs_openmp
def test_torch_is_limited_inside_the_block_only(two_threads):
    with one_torch_thread():
        assert torch.get_num_threads() == 1
        assert count_threads() == 2  # those of our pool do not spin
        with one_torch_thread(), one_torch_thread(False):
            assert (torch.get_num_threads(), count_threads()) == (1, 2)
        assert (torch.get_num_threads(), count_threads()) == (1, 2)
    assert (torch.get_num_threads(), count_threads()) == (2, 2)
    with one_torch_thread(False):
        assert torch.get_num_threads() == 2
    with pytest.raises(ZeroDivisionError), one_torch_thread():
        _ = 1 / 0
    assert torch.get_num_threads() == 2


@needs_openmp
def test_other_threads_are_not_limited(two_threads):
    """Neither those that use torch already, nor those that begin to inside the block."""
    limited, seen = threading.Event(), threading.Event()

    def watch():
        first = torch.get_num_threads()
        limited.wait(60)
        second = torch.get_num_threads()
        seen.set()
        return first, second

    with ThreadPoolExecutor(1) as running:
        watching = running.submit(watch)
        with one_torch_thread():
            limited.set()
            seen.wait(60)
            assert in_thread(torch.get_num_threads) == 2
        assert watching.result() == (2, 2)


@needs_openmp
def test_a_thread_that_sets_its_number_keeps_it(two_threads):
    def work():
        torch.set_num_threads(3)
        with one_torch_thread():
            inside = torch.get_num_threads()
        return inside, torch.get_num_threads()

    assert in_thread(work) == (1, 3)
    assert torch.get_num_threads() == 2
