"""A fit on mapped codes needs little memory for its rows, under a limit of the system."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sparsectr import FieldEncoder

N_FIELDS, N_DISTINCT, N_ROWS = 40, 2_000, 1_400_000
# Beyond what the process has when the fit begins. Codes alone take 224 MB.
ALLOWED = 170_000_000

FIT = """
import resource, sys
import numpy as np
from sparsectr import CodeTable, DynIntClassifier

table, where, allowed = CodeTable(sys.argv[1]), sys.argv[2], int(sys.argv[3])
clf = DynIntClassifier(
    n_layers=0, embedding_dim=2, max_epochs=1, batch_size=8192, n_interactions=0, random_state=0
)
clf.fit(table[:3_000])  # loads what is loaded when it is needed
(line,) = [line for line in open("/proc/self/status") if line.startswith("VmData")]
limit = 1024 * int(line.split()[1]) + allowed
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
try:
    if where == "mapped":
        clf.fit(table)
    else:
        clf.fit(np.array(table.codes), np.array(table.y))
    print("fitted", clf.history_[-1]["train_loss"])
except MemoryError:
    print("no memory")
"""


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Write a table of some rows, and repeat them in its files."""
    rng = np.random.default_rng(0)
    columns = {f"f{f}": rng.integers(0, 50, N_DISTINCT).astype(str) for f in range(N_FIELDS)}
    rows = pa.table(columns | {"y": rng.integers(0, 2, N_DISTINCT)})
    path = tmp_path_factory.mktemp("large") / "codes"
    few = FieldEncoder().encode_dataset(rows.to_reader(), path, y="y")
    codes, y = np.array(few.codes), np.array(few.y)
    many = np.lib.format.open_memmap(path / "codes.npy", "w+", np.int32, (N_ROWS, N_FIELDS))
    for start in range(0, N_ROWS, N_DISTINCT):
        many[start : start + N_DISTINCT] = codes
    many.flush()
    np.save(path / "y.npy", np.tile(y, N_ROWS // N_DISTINCT))
    manifest = few.manifest | {"n_rows": N_ROWS}
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="reads Linux's memory of a process"
)
@pytest.mark.parametrize(("where", "expected"), [("mapped", "fitted 0."), ("memory", "no memory")])
def test_a_limit_that_codes_do_not_fit_into(where, expected, table):
    words = [sys.executable, "-c", FIT, str(table), where, str(ALLOWED)]
    # How many arenas malloc takes depends on what else the machine does.
    environment = os.environ | {"MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.startswith(expected), done.stdout + done.stderr
