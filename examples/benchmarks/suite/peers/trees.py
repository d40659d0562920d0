"""What the boosted trees of all libraries share."""

import os
from typing import Any

import pandas as pd
from sklearn.model_selection import train_test_split

# As many as torch uses: these libraries would take all cores.
N_THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
PATIENCE = 50  # trees without improvement after which training stops


def find_categories(X: pd.DataFrame, integers: bool = True) -> list[str]:
    """Return the columns of categories: those that are not numbers and, if told so, integers."""
    is_number = pd.api.types.is_float_dtype if integers else pd.api.types.is_numeric_dtype
    return [name for name in X.columns if not is_number(X[name])]


def take_stop_rows(X: Any, y: Any, random_state: int | None) -> list[Any]:
    """Set a tenth of the rows apart for early stopping: X, X_val, y, y_val."""
    return train_test_split(X, y, test_size=0.1, stratify=y, random_state=random_state)
