"""What the boosted trees of all libraries share."""

import os

import pandas as pd

# As many as torch uses: these libraries would take all cores.
N_THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
PATIENCE = 50  # trees without improvement after which training stops


def find_categories(X: pd.DataFrame) -> list[str]:
    """Return the columns that are not floats: our estimators cut floats into bins."""
    return [name for name in X.columns if not pd.api.types.is_float_dtype(X[name])]
