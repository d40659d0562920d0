"""
Larger than memory: a Parquet file
==================================

``fit`` takes the name of a file. Its codes go to the disk, and training maps them: what is in
memory at a time is a batch of rows.
"""

# %%
# A file of clicks, as it would come from a job that writes it piece by piece.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.metrics import roc_auc_score

from sparsectr import DynIntClassifier
from sparsectr.datasets import make_clicks

N_PIECES, N_ROWS, N_FIELDS = 8, 25_000, 8
clicks = make_clicks(N_PIECES * N_ROWS, N_FIELDS, 100, crosses=[(0, 1), (2, 3)], random_state=0)
folder = Path(tempfile.mkdtemp())
columns = pa.Table.from_pandas(clicks.X.assign(click=clicks.y), preserve_index=False)
with pq.ParquetWriter(folder / "clicks.parquet", columns.schema) as writer:
    for piece in range(N_PIECES):
        writer.write_table(columns.slice(piece * N_ROWS, N_ROWS))

# %%
# ``cache_dir`` keeps the codes, so that a second fit does not encode the file again.

clf = DynIntClassifier(cache_dir=folder / "codes", max_epochs=3, random_state=0)
clf.fit(folder / "clicks.parquet", y="click")
clf.interaction_table()[["fields", "strength", "evidence", "significant"]].head(3)

# %%
# Predictions of a file come some rows at a time, or go into another file.

parts = [part[:, 1] for part in clf.iter_predict_proba(folder / "clicks.parquet")]
print(
    f"{len(parts)} parts, AUC on training rows {roc_auc_score(clicks.y, np.concatenate(parts)):.3f}"
)

# %%
# Sizes on the disk and in memory. A fit from files needs neither the table nor all of its codes in
# memory (grey). It holds what is blue: of every row its target, weight and number, some 30 bytes.

megabytes = {
    "table as strings": clicks.X.memory_usage(deep=True).sum() / 1e6,
    "codes, on the disk": sum(path.stat().st_size for path in folder.rglob("codes.npy")) / 1e6,
    "targets, weights, numbers": 30 * len(clicks.y) / 1e6,
    "embedding table": sum(clf.encoder_.vocabulary_sizes_) * clf.embedding_dim * 4 / 1e6,
    "one batch of codes": clf.batch_size_ * N_FIELDS * 4 / 1e6,
}
figure, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
colours = ["0.7"] * 2 + ["tab:blue"] * 3
bars = ax.barh(list(megabytes), list(megabytes.values()), color=colours)
ax.bar_label(bars, fmt="%.2f", padding=4)
ax.set_xscale("log")
ax.margins(x=0.2)
ax.invert_yaxis()
ax.set_xlabel("megabytes")
plt.show()
