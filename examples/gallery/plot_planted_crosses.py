"""
Planted crosses, found by four models
=====================================

Clicks with three known crosses. Which of them do the three methods of this package rank first, and
which does explainable boosting (EBM, of the library interpret) find?
"""

# %%
# The effect of a planted cross has mean zero for every value of its fields, so that no single field
# gives it away.

import matplotlib.pyplot as plt
import numpy as np
from interpret.glassbox import ExplainableBoostingClassifier

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier
from sparsectr.datasets import make_clicks

clicks = make_clicks(
    8_000, n_fields=6, cardinality=10, crosses=[(0, 1), (2, 4), (3, 5)], random_state=0
)
names = list(clicks.X.columns)
clicks.crosses

# %%
# Every model gives each pair of fields a number: the standard deviation of its effect on the
# log-odds for ours, the mean absolute effect for EBM.


def matrix_of(pairs):
    """Return the (n_fields, n_fields) matrix of the strengths of pairs, each pair once."""
    matrix = np.full((len(names), len(names)), np.nan)
    matrix[np.tril_indices(len(names), -1)] = 0.0
    for fields, strength in pairs:
        first, second = sorted(names.index(field) for field in fields)
        matrix[second, first] = strength
    return matrix


found = {}
for clf in [
    DynIntClassifier(random_state=0),
    OptFeatureClassifier(random_state=0),
    ProfitClassifier(max_order=2, random_state=0),
]:
    table = clf.fit(clicks.X, clicks.y).interaction_table().query("order == 2")
    name = type(clf).__name__.removesuffix("Classifier")
    found[name] = matrix_of(zip(table["fields"], table["strength"], strict=True))

# Few bags and rounds, so that this example is quick.
ebm = ExplainableBoostingClassifier(
    interactions=6, outer_bags=2, max_rounds=300, learning_rate=0.05, n_jobs=1, random_state=0
)
ebm.fit(clicks.X, clicks.y)
terms = zip(ebm.term_names_, ebm.term_importances(), strict=True)
found["EBM"] = matrix_of((name.split(" & "), size) for name, size in terms if " & " in name)

# %%
# Dark cells are strong crosses, frames mark the planted ones.

figure, axes = plt.subplots(2, 2, figsize=(7.5, 7), layout="constrained")
for ax, (name, matrix) in zip(axes.flat, found.items(), strict=True):
    image = ax.imshow(matrix, cmap="Blues", vmin=0)
    for first, second in ((0, 1), (2, 4), (3, 5)):
        ax.add_patch(
            plt.Rectangle((first - 0.5, second - 0.5), 1, 1, fill=False, color="tab:red", lw=2)
        )
    ax.set_xticks(range(len(names) - 1), names[:-1])
    ax.set_yticks(range(1, len(names)), names[1:])
    ax.set_ylim(len(names) - 0.5, 0.5)
    ax.set_xlim(-0.5, len(names) - 1.5)
    ax.spines[:].set_visible(False)
    ax.set_title(name)
    figure.colorbar(image, ax=ax, shrink=0.8, label="strength")
plt.show()
