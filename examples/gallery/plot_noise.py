"""
Evidence on pure noise
======================

A net that is trained on noise makes something of noise. Strengths do not show it, evidence does.
"""

# %%
# Two tables of the same size. In the first, fields add up and no cross exists. The second has two
# crosses.

import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import norm

from sparsectr import DynIntClassifier
from sparsectr.datasets import make_clicks

settings = {"n_samples": 15_000, "n_fields": 10, "cardinality": 12, "random_state": 3}
tables = {
    "no cross": make_clicks(crosses=[], **settings),
    "two crosses": make_clicks(crosses=[(0, 1), (2, 3)], cross_effect=0.4, **settings),
}
pairs = {}
for name, clicks in tables.items():
    clf = DynIntClassifier(n_interactions=100, random_state=0).fit(clicks.X, clicks.y)
    pairs[name] = clf.interaction_table(fdr=0.05).query("order == 2")
    print(f"{name}: {pairs[name]['significant'].sum()} significant pairs")

# %%
# A list by strength begins with something in either table, and does not say where noise ends.
# Evidence says it.

columns = ["fields", "strength", "evidence", "significant"]
pairs["no cross"][columns].head(5)

# %%
pairs["two crosses"][columns].head(5)

# %%
# Strength has no scale to compare with. Evidence has one: on noise it is a normal deviate, and
# follows the curve. The planted pairs stand far to the right of it.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for ax, column in zip(axes, ["strength", "evidence"], strict=True):
    noise, planted = pairs["no cross"][column], pairs["two crosses"][column]
    bins = np.linspace(min(noise.min(), planted.min()), max(noise.max(), planted.max()), 25)
    ax.hist(noise, bins, color="0.7", label="table without crosses")
    ax.hist(planted, bins, histtype="step", color="tab:blue", lw=2, label="table with two")
    ax.set_xlabel(f"{column} ({'log-odds' if column == 'strength' else 'normal deviate'})")
    ax.set_ylabel("pairs of fields")
grid = np.linspace(-4, 4, 200)
expected = norm.pdf(grid) * len(noise) * (bins[1] - bins[0])
axes[1].plot(grid, expected, color="tab:red", label="normal distribution")
axes[1].legend(fontsize=9)
plt.show()
