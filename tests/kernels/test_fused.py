import os
import subprocess
import sys

import pytest
import torch

from sparsectr.kernels.fused import fused_kernels, fused_version, timed_compilation

pytest.importorskip("numba")


def test_float32_on_a_cpu_takes_the_fused_version():
    assert fused_version("rows", torch.zeros(2, 2)) is not None


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_types_take_the_reference(dtype):
    assert fused_version("rows", torch.zeros(2), torch.zeros(2, dtype=dtype)) is None


def test_other_devices_take_the_reference():
    assert fused_version("rows", torch.zeros(2, device="meta")) is None


def test_a_module_without_a_fused_version_takes_the_reference():
    assert fused_version("nothing_of_this_name") is None


def test_the_switch_works_inside_its_block():
    with fused_kernels(False):
        assert fused_version("rows") is None
        with fused_kernels(True):
            assert fused_version("rows") is not None
        assert fused_version("rows") is None
    assert fused_version("rows") is not None


def test_the_switch_goes_back_after_an_error():
    with pytest.raises(ZeroDivisionError), fused_kernels(False):
        _ = 1 / 0
    assert fused_version("rows") is not None


def run(code, **environment):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)


def test_the_environment_can_switch_fused_versions_off():
    code = "from sparsectr.kernels.fused import fused_version; print(fused_version('rows') is None)"
    assert run(code, SPARSECTR_FUSED="0").stdout == "True\n"


def test_importing_the_package_does_not_import_numba():
    result = run("import sys, sparsectr; print('numba' in sys.modules)")
    assert result.stdout == "False\n", result.stderr


def test_without_numba_the_reference_is_taken():
    code = (
        "import sys; sys.modules['numba'] = None\n"
        "from sparsectr.kernels.fused import fused_version; print(fused_version('rows') is None)"
    )
    assert run(code).stdout == "True\n"


def test_a_numba_that_is_too_old_is_not_used():
    code = (
        "import numba; numba.__version__ = '0.63.1'\n"
        "from sparsectr.kernels.fused import fused_version; print(fused_version('rows') is None)"
    )
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
