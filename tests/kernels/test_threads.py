import multiprocessing
import sys
import threading
import time
from collections import Counter

import pytest
import torch

from sparsectr.kernels.threads import run_parts


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
