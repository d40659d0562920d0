"""Open changed files of a stored estimator: ``python tests/fuzz_stored.py COUNT SEED``.

Prints what came of them, as JSON, and ends with an error at the first file that breaks the rule: an
estimator that predicts, or an exception; from code of this package a ValueError; within a second of
processor time and 512 MB of memory; nothing written.
"""

import io
import json
import resource
import signal
import sys
import traceback
import warnings
import zipfile
from collections import Counter
from copy import deepcopy
from pathlib import Path

import numpy as np
import skops.io

import sparsectr
from sparsectr import DynIntClassifier, trusted_types

PACKAGE = str(Path(sparsectr.__file__).parent)
N_SECONDS, N_BYTES = 1, 512 * 2**20
X = np.random.default_rng(0).integers(0, 6, size=(60, 3)).astype(str).astype(object)
STRANGE = [None, True, -1, 0, 1, 7, 2**31, 2**63, 1e308, float("nan"), "", "text", [], {}, [[]]]


def make_model():
    numbers = np.arange(60) / 60
    table = np.column_stack([X, numbers])
    return DynIntClassifier(max_epochs=1, embedding_dim=2, n_interactions=2, random_state=0).fit(
        [list(row) for row in table.tolist()], (X[:, 0] == X[:, 1]).astype(int)
    )


def change_bytes(data, rng):
    """Cut off the end, overwrite some bytes, leave some out, or repeat some."""
    data = bytearray(data)
    kind, start = rng.integers(4), int(rng.integers(len(data)))
    length = int(min(rng.geometric(0.1), len(data) - start))
    if kind == 0:
        del data[start:]
    elif kind == 1:
        data[start : start + length] = rng.bytes(length)
    elif kind == 2:
        del data[start : start + length]
    else:
        data[start:start] = data[start : start + length]
    return bytes(data)


def change_json(value, rng):
    """Replace or remove one value of a nested structure."""
    places = []
    todo = [value]
    while todo:
        node = todo.pop()
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, child in items:
            places.append((node, key))
            if isinstance(child, dict | list):
                todo.append(child)
    node, key = places[rng.integers(len(places))]
    if rng.random() < 0.2:
        del node[key]
    elif rng.random() < 0.5:
        other, other_key = places[rng.integers(len(places))]
        is_there = other_key in range(len(other)) or other_key in other
        node[key] = deepcopy(other[other_key]) if is_there else 1
    else:
        node[key] = STRANGE[rng.integers(len(STRANGE))]
    return value


def change_member(data, rng):
    """Change what is inside the archive, so that its checksums are right."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    names = sorted(members)
    name = "schema.json" if rng.random() < 0.6 else names[rng.integers(len(names))]
    if name == "schema.json" and rng.random() < 0.9:
        members[name] = json.dumps(change_json(json.loads(members[name]), rng)).encode()
    else:
        members[name] = change_bytes(members[name], rng)
    changed = io.BytesIO()
    with zipfile.ZipFile(changed, "w") as archive:
        for key, content in members.items():
            archive.writestr(key, content)
    return changed.getvalue()


def open_changed(data, table, expected, *, is_checked):
    """Open one file and predict; return what came of it, in a word."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = skops.io.loads(data, trusted=trusted_types)
            if not isinstance(again, DynIntClassifier):
                return "other object"
            probabilities = again.predict_proba(table)
    except ValueError:
        return "ValueError"
    except Exception as error:
        files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        if any(file.startswith(PACKAGE) for file in files):
            raise
        return type(error).__name__
    if is_checked:
        np.testing.assert_array_equal(probabilities, expected)
        return "equal"
    # Weights may be finite and so large that their products are not.
    return "predicts" if np.isfinite(probabilities).all() else "overflows"


def main(count, seed):
    model = make_model()
    table = [[*row, 0.5] for row in X.tolist()]
    expected = model.predict_proba(table)
    data = skops.io.dumps(model)
    written = []
    sys.addaudithook(
        lambda event, given: (
            written.append(given[0])
            if event == "open" and isinstance(given[1], str) and set(given[1]) & set("wax+")
            else None
        )
    )
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (used + N_BYTES, hard))
    outcomes = Counter()
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        is_checked = bool(number % 2)
        changed = (change_bytes if is_checked else change_member)(data, rng)
        signal.setitimer(signal.ITIMER_PROF, N_SECONDS)  # the default action ends the process
        try:
            outcome = open_changed(changed, table, expected, is_checked=is_checked)
        except BaseException:
            signal.setitimer(signal.ITIMER_PROF, 0)
            sys.stderr.write(f"file {number} of seed {seed}\n")
            raise
        signal.setitimer(signal.ITIMER_PROF, 0)
        outcomes["checksums: " * is_checked + outcome] += 1
    assert not written, written
    sys.stdout.write(json.dumps(outcomes))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
