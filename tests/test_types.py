"""What a type checker tells the user of a fitted estimator."""

import subprocess
import sys

import pytest
from public import CLASSIFIERS, REGRESSORS

pytest.importorskip("mypy")

# What is skipped has no part in the types of `fit`, and would take most of the time.
CONFIGURATION = """
[mypy]
strict = True
[mypy-torch.*,pandas.*,scipy.*,numba.*,triton.*,sklearn.*]
follow_imports = skip
follow_imports_for_stubs = True
ignore_missing_imports = True
"""
SCRIPT = """
import numpy as np
import sparsectr

X, y = np.zeros((4, 2)), np.zeros(4)
"""


def test_fit_returns_the_estimator_itself(tmp_path):
    calls = [
        call
        for cls in [*CLASSIFIERS, *REGRESSORS]
        for call in (
            f"sparsectr.{cls.__name__}().fit(X, y, X_val=X, y_val=y)",
            f"sparsectr.{cls.__name__}().partial_fit(X, y)",
        )
    ]
    wrong = f"sparsectr.{CLASSIFIERS[0].__name__}().fit()"
    lines = [*(f"reveal_type({call})" for call in calls), wrong]
    (tmp_path / "mypy.ini").write_text(CONFIGURATION)
    (tmp_path / "script.py").write_text(SCRIPT + "\n".join(lines))
    command = [sys.executable, "-m", "mypy", "--no-error-summary", "--cache-dir=cache", "script.py"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    told = found.stdout.splitlines()
    assert len(told) == len(lines), found
    for call, line in zip(calls, told, strict=False):
        cls = call.removeprefix("sparsectr.").partition("(")[0]
        assert line.endswith(f'.{cls}"'), line
        assert "Revealed type" in line
    assert 'Missing positional argument "X" in call to "fit"' in told[-1]
