"""
Export to ONNX, and serve
=========================

A fitted classifier becomes one ONNX graph, from raw columns to probabilities. The service that runs
it needs neither Python nor pandas. In Python, ``compile_predictor`` makes a function of one row.
"""

# %%
# Train, and write the graph.

import tempfile
import timeit
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import pandas as pd

from sparsectr import DynIntClassifier, onnx_inputs, to_onnx
from sparsectr.datasets import load_flights

X, y = load_flights(return_X_y=True)
X, y = X[:30_000], y[:30_000]
clf = DynIntClassifier(random_state=0).fit(X, y)
path = Path(tempfile.mkdtemp()) / "flights.onnx"
to_onnx(clf, path)
print(f"{path.stat().st_size / 1e6:.1f} MB")

# %%
# Each field is an input of shape (n_rows, 1): strings are strings, integers are int64. For checks,
# ``onnx_inputs`` makes them of a frame.

session = onnxruntime.InferenceSession(path)


def as_inputs(rows):
    """Return the columns of a frame as the graph takes them."""
    return onnx_inputs(session, rows)


label, probabilities = session.run(["label", "probabilities"], as_inputs(X[:5_000]))
difference = np.abs(probabilities - clf.predict_proba(X[:5_000])).max()
print(f"largest difference to predict_proba: {difference:.1e}")

# %%
# Three ways to answer a request, each given rows in the form that it takes. Medians of 20 calls,
# one after the other.

predict_row = clf.compile_predictor()
ways = {
    "predict_proba, DataFrame": (lambda rows: rows, clf.predict_proba),
    "ONNX graph, arrays": (as_inputs, lambda inputs: session.run(["probabilities"], inputs)),
    "compile_predictor, dicts": (
        lambda rows: rows.to_dict("records"),
        lambda dicts: [predict_row(row) for row in dicts],
    ),
}
sizes = [1, 10, 100, 1_000]
table = pd.DataFrame(index=pd.Index(sizes, name="rows"), columns=list(ways), dtype=float)
for name, (convert, answer) in ways.items():
    for size in sizes:
        request = convert(X[:size])
        seconds = timeit.repeat(lambda: answer(request), number=1, repeat=20)  # noqa: B023
        table.loc[size, name] = 1e3 * np.median(seconds)
table.round(3)

# %%
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
table.plot(ax=ax, marker="o", logx=True, logy=True)
ax.set_xlabel("rows in a request")
ax.set_ylabel("milliseconds per request")
ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
ax.grid(alpha=0.3)
plt.show()
