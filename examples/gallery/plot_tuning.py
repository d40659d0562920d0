"""
Tuning in a Pipeline
====================

The estimators are tuned like any others of scikit-learn: in a Pipeline, over a grid, by
cross-validation.
"""

# %%
# Clicks on a table with many rare values, where two settings matter most: how often a value must
# come to have a code of its own, and how strongly embeddings are pulled to zero.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from sparsectr import DynIntClassifier, FieldEncoder
from sparsectr.datasets import make_clicks

clicks = make_clicks(5_000, n_fields=4, cardinality=300, crosses=[(0, 1)], random_state=0)


def add_site(X):
    """Add a coarser field to the table: the last digit of the second one."""
    return X.assign(site=X["f1"].str[-1])


pipeline = Pipeline(
    [
        ("site", FunctionTransformer(add_site)),
        ("model", DynIntClassifier(encoder=FieldEncoder(), max_epochs=6, random_state=0)),
    ]
)

# %%
# Parameters of the encoder are reached through the classifier. Every fit sets validation rows of
# its own apart for early stopping.

frequencies = [1, 3, 10]
penalties = [1e-3, 1e-2, 1e-1]
search = GridSearchCV(
    pipeline,
    {"model__encoder__min_frequency": frequencies, "model__embedding_l2": penalties},
    scoring="neg_log_loss",
    cv=3,
)
search.fit(clicks.X, clicks.y)
search.best_params_

# %%
# The whole grid: dark cells are better.

results = pd.DataFrame(search.cv_results_)
losses = -results["mean_test_score"].to_numpy().reshape(len(penalties), len(frequencies))
figure, ax = plt.subplots(figsize=(6, 4.4), layout="constrained")
image = ax.imshow(losses, cmap="viridis")
for row, line in enumerate(losses):
    for column, loss in enumerate(line):
        color = "white" if loss < losses.mean() else "black"
        ax.text(column, row, f"{loss:.4f}", ha="center", va="center", color=color)
ax.set_xticks(range(len(frequencies)), frequencies)
ax.set_yticks(range(len(penalties)), penalties)
ax.set_xlabel("min_frequency of the encoder")
ax.set_ylabel("embedding_l2")
figure.colorbar(image, label="log loss, threefold cross-validation")
plt.show()
