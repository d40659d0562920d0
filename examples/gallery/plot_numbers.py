"""
A numeric table, read in intervals
==================================

Numbers are cut into bins, so that crosses of numeric columns are found and shown like any others.
Friedman's first function is a known test: of its ten columns five matter, and only two of them
matter together.
"""

# %%
# ``y = 10 sin(π x0 x1) + 20 (x2 - ½)² + 10 x3 + 5 x4``, and noise with a standard deviation of 1.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import make_friedman1
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split

from sparsectr import DynIntRegressor, FieldEncoder

values, y = make_friedman1(20_000, noise=1.0, random_state=0)
X = pd.DataFrame(values, columns=[f"x{i}" for i in range(10)])
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# Twelve bins per column, of equally many rows each, are enough to see a shape. The default encoder
# reads finer bins beside coarse ones, and predicts better.

encoder = FieldEncoder(n_bins=12, numeric_columns="one")
reg = DynIntRegressor(encoder=encoder, random_state=0).fit(X_train, y_train)
print(f"R² on test rows: {r2_score(y_test, reg.predict(X_test)):.3f}")
reg.interaction_table()[["fields", "strength", "evidence", "significant"]].head(4)

# %%
# The one cross that there is stands out. Its values are intervals.

effects = reg.value_effects(("x0", "x1"))
effects.nlargest(3, "effect")

# %%
# The effect of a cross is what remains when the effects of single fields are taken off. On the
# right, the same is done with the mean of the function in every cell.

learnt = effects.pivot(index="x0", columns="x1", values="effect")
cells = [pd.cut(values[:, i], 12, labels=False) for i in range(2)]
surface = (
    pd.Series(10 * np.sin(np.pi * values[:, 0] * values[:, 1])).groupby(cells).mean().unstack()
)
surface = surface.sub(surface.mean(axis=1), axis=0)
planted = surface - surface.mean(axis=0)

figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.4), layout="constrained")
for ax, grid, title in [(axes[0], learnt, "DynInt"), (axes[1], planted, "the function")]:
    image = ax.imshow(grid.to_numpy(float).T, origin="lower", cmap="RdBu_r", vmin=-4, vmax=4)
    ax.set_title(title)
    ax.set_xlabel("x0")
    ax.set_ylabel("x1")
    ax.set_xticks(np.linspace(-0.5, 11.5, 5), ["0", ".25", ".5", ".75", "1"])
    ax.set_yticks(np.linspace(-0.5, 11.5, 5), ["0", ".25", ".5", ".75", "1"])
figure.colorbar(image, ax=axes, shrink=0.85, label="effect of x0 × x1 on y")
plt.show()
