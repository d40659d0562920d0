"""Memory that steps hand to each other: never while somebody holds it."""

import threading

from sparsectr.kernels.memory import SMALLEST, empty, reused_memory

N = 2 * SMALLEST


def test_memory_that_nobody_holds_is_used_again():
    with reused_memory():
        block = empty(N)
        address = block.data_ptr()
        del block
        assert empty(2, N // 4).data_ptr() == address


def test_memory_that_is_held_is_left_alone():
    with reused_memory():
        block = empty(N)
        view = block.view(2, -1)[1]
        sparse_values = block.detach()
        address = block.data_ptr()
        del block
        assert empty(N).data_ptr() != address
        del view
        assert empty(N).data_ptr() != address
        del sparse_values
        assert address in {other.data_ptr() for other in [empty(N), empty(N)]}


def test_far_larger_blocks_are_not_used_for_small_wishes():
    with reused_memory():
        address = empty(8 * N).data_ptr()
        assert empty(N).data_ptr() != address


def test_nothing_is_kept_outside():
    with reused_memory():
        first = empty(N)
    second = empty(N)
    assert first.data_ptr() != second.data_ptr()
    assert second.shape == (N,)


def test_threads_do_not_share():
    addresses = []

    def ask():
        with reused_memory():
            addresses.append(empty(N).data_ptr())
            barrier.wait()

    barrier = threading.Barrier(2)
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(addresses)) == 2
