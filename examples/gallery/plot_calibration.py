"""
Calibration of sampled clicks
=============================

Where clicks are rare, most of the rows without a click can be left out of training. Predictions are
then too high, unless the model is told the rate.
"""

# %%
# Two percent of the rows are clicks. All of them are kept, and a tenth of the other rows.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.calibration import CalibrationDisplay
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sparsectr import DynIntClassifier
from sparsectr.datasets import make_clicks
from sparsectr.metrics import calibration_error

clicks = make_clicks(120_000, n_fields=6, cardinality=20, base_rate=0.02, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(clicks.X, clicks.y, random_state=0)
kept = (y_train == 1) | (np.random.default_rng(0).random(len(y_train)) < 0.1)
print(f"{kept.sum():,} of {len(kept):,} rows are kept")

# %%
# ``negative_sampling_rate`` is the share of rows without a click that were kept.

models = {
    "sampled, rate not given": DynIntClassifier(random_state=0),
    "sampled, rate given": DynIntClassifier(negative_sampling_rate=0.1, random_state=0),
}
probabilities = {
    name: clf.fit(X_train[kept], y_train[kept]).predict_proba(X_test)[:, 1]
    for name, clf in models.items()
}
pd.DataFrame(
    {
        name: {
            "mean prediction": p.mean(),
            "clicks": y_test.mean(),
            "log loss": log_loss(y_test, p),
            "calibration error": calibration_error(y_test, p),
        }
        for name, p in probabilities.items()
    }
).round(4)

# %%
# Both axes are logarithmic, because most probabilities are small. On the diagonal, predictions are
# as large as the share of clicks.

figure, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
for name, p in probabilities.items():
    CalibrationDisplay.from_predictions(
        y_test, p, n_bins=8, strategy="quantile", name=name, ax=ax, marker="o"
    )
ax.set(xscale="log", yscale="log", xlim=(0.002, 0.7), ylim=(0.002, 0.7))
ax.legend(loc="upper left")
ax.set(xlabel="mean prediction", ylabel="share of clicks")
ax.set_aspect("equal")
plt.show()
