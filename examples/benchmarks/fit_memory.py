"""Peak memory of `fit` beside the size of the embedding table and its optimizer state.

Hashes four fields into as many buckets as the table shall have rows, so that a small frame trains
a large table, and reports how much the process has grown at its peak:

    python examples/benchmarks/fit_memory.py
"""

import argparse
import resource

import numpy as np
import pandas as pd

from sparsectr import DynIntClassifier, FieldEncoder

FIELDS = 4


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table-rows", type=int, default=8_000_000)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--embedding-dim", type=int, default=16)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(10**9, size=(arguments.rows, FIELDS)))
    y = rng.integers(2, size=arguments.rows)
    small = DynIntClassifier(max_epochs=1, encoder=FieldEncoder(hash_buckets=10))
    small.fit(X[:1000], y[:1000])  # what libraries need, whatever the size of the table

    before = peak_bytes()
    encoder = FieldEncoder(hash_buckets=arguments.table_rows // FIELDS)
    model = DynIntClassifier(
        max_epochs=3, encoder=encoder, embedding_dim=arguments.embedding_dim, random_state=0
    )
    model.fit(X, y)
    grown = peak_bytes() - before
    table = 4 * model.n_parameters_["embedding"]
    state = 2 * table + table // arguments.embedding_dim  # two moments, one count per row
    codes = 4 * X.size
    print(f"table {table / 2**20:,.0f} MB, optimizer state {state / 2**20:,.0f} MB")
    print(f"grown by {grown / 2**20:,.0f} MB = {(grown - codes) / (table + state):.2f} x both")


if __name__ == "__main__":
    main()
