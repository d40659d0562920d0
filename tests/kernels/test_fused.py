import os
import subprocess
import sys

import pytest
import torch

from sparsectr.kernels.fused import KERNELS, fused, fused_kernels, timed_compilation
from sparsectr.kernels.rows import AdamTable

pytest.importorskip("numba")


def runs_fused(tensor):
    """Whether Adam on a table like this is fused."""
    table = AdamTable(tensor, tensor, tensor, torch.zeros(len(tensor), dtype=torch.int32), tensor)
    return KERNELS["adam_rows_"].fused_version([table], torch.arange(len(tensor))) is not None


def test_float32_on_a_cpu_takes_the_fused_version():
    assert runs_fused(torch.zeros(2, 2))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_types_take_the_reference(dtype):
    assert not runs_fused(torch.zeros(2, 2, dtype=dtype))


def test_other_devices_take_the_reference():
    assert not runs_fused(torch.zeros(2, 2, device="meta"))


def test_a_kernel_without_a_fused_version_is_its_reference():
    @fused(numbers=lambda x: (x,))
    def twice(x):
        return 2 * x

    try:
        assert KERNELS["twice"].fused_version(torch.ones(1)) is None
        assert twice(torch.ones(1)) == 2
    finally:
        del KERNELS["twice"]


def test_the_switch_works_inside_its_block():
    with fused_kernels(False):
        assert not runs_fused(torch.zeros(2, 2))
        with fused_kernels(True):
            assert runs_fused(torch.zeros(2, 2))
        assert not runs_fused(torch.zeros(2, 2))
    assert runs_fused(torch.zeros(2, 2))


def test_the_switch_goes_back_after_an_error():
    with pytest.raises(ZeroDivisionError), fused_kernels(False):
        _ = 1 / 0
    assert runs_fused(torch.zeros(2, 2))


IS_REFERENCE = """
import torch
from sparsectr.kernels.fused import KERNELS
from sparsectr.nn import cross_products
x = torch.ones(2, 2)
print(KERNELS["sum_crosses"].fused_version(x, x, None) is None)
"""


def run(code, **environment):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)


def test_the_environment_can_switch_fused_versions_off():
    assert run(IS_REFERENCE, SPARSECTR_FUSED="0").stdout == "True\n"


def test_importing_the_package_does_not_import_numba():
    result = run("import sys, sparsectr; print('numba' in sys.modules)")
    assert result.stdout == "False\n", result.stderr


def test_without_numba_the_reference_is_taken():
    code = "import sys; sys.modules['numba'] = None\n" + IS_REFERENCE
    assert run(code).stdout == "True\n"


def test_a_numba_that_is_too_old_is_not_used():
    code = "import numba; numba.__version__ = '0.63.1'\n" + IS_REFERENCE
    assert run(code).stdout == "True\n"


def test_the_time_of_compilation_is_reported_and_only_where_there_was_some():
    jit = pytest.importorskip("sparsectr.kernels.cpu.machine.jit", exc_type=ImportError)
    seconds = []
    with timed_compilation(seconds.append):
        pass
    assert seconds == []
    double = jit.compiled(eval("lambda number: 2 * number"))  # in no file, so kept nowhere
    with timed_compilation(seconds.append):
        double(3)
        double(4)
    (duration,) = seconds
    assert 0 < duration < 60
