"""
Which values of a cross matter
==============================

A cross may matter for some values only: a campaign for one device, a discount in one season.
``OptFeatureClassifier`` opens or closes a gate for every combination of values.
"""

# %%
# One planted cross, switched on for half of the rows: for some values of its first field.

import matplotlib.pyplot as plt

from sparsectr import OptFeatureClassifier
from sparsectr.datasets import make_clicks

clicks = make_clicks(
    20_000,
    n_fields=4,
    cardinality=12,
    crosses=[(0, 1)],
    cross_effect=1.5,
    active_share=0.5,
    random_state=1,
)
clicks.active_values[0]

# %%
# Without hidden units all of a cross goes through its gate, so that gates say most about the data.
# ``gate_price`` is what an open gate costs: the higher it is, the more gates close.

clf = OptFeatureClassifier(granularity="value", hidden_units=(), gate_price=0.003, random_state=0)
clf.fit(clicks.X, clicks.y)
clf.interaction_table()[["fields", "strength", "keep_rate", "evidence"]]

# %%
# ``selected_values`` has a line per combination of values.

values = clf.selected_values(("f0", "f1"), top=100)
values.head()

# %%
# The planted effect of every combination, and what the model makes of it. Crosses mark closed
# gates, white cells have too few rows.


def grid_of(cells, column):
    """Return cells as a table of f0 by f1, the values in the order of their numbers."""
    grid = cells.pivot_table(index="f0", columns="f1", values=column)
    names = [sorted(labels, key=lambda name: int(name[3:])) for labels in grid.axes]
    return grid.reindex(index=names[0], columns=names[1])


planted = grid_of(clicks.X.assign(effect=clicks.cross_log_odds[:, 0]), "effect")
learnt = grid_of(clf.value_effects(("f0", "f1")), "effect")

figure, axes = plt.subplots(1, 2, figsize=(9, 4.4), layout="constrained", sharey=True)
for ax, grid, title in [(axes[0], planted, "planted"), (axes[1], learnt, "OptFeature")]:
    image = ax.imshow(grid, cmap="RdBu_r", vmin=-3, vmax=3)
    ax.set_xticks(range(grid.shape[1]), grid.columns, rotation=90)
    ax.set_yticks(range(grid.shape[0]), grid.index)
    ax.set_title(title)
for first, second in values.loc[~values["open"], ["f0", "f1"]].itertuples(index=False):
    place = learnt.columns.get_loc(second), learnt.index.get_loc(first)
    axes[1].plot(*place, marker="x", color="0.3", markersize=5)
figure.colorbar(image, ax=axes, shrink=0.85, label="effect on the log-odds")
plt.show()
