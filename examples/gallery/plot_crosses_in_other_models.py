"""
Crosses in a linear model and in boosted trees
==============================================

What one model discovers, another one can use. ``InteractionFeatures`` makes a column of each cross:
one-hot for a logistic regression, out-of-fold means of the target for boosted trees.
"""

# %%
# Late flights once more. The crosses come from training rows only.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from sparsectr import DynIntClassifier, InteractionFeatures
from sparsectr.datasets import load_flights

X, y = load_flights(return_X_y=True)
X = X.drop(columns=["tailnum", "flight"]).sample(40_000, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y[X.index], random_state=0)
net = DynIntClassifier(random_state=0).fit(X_train, y_train)
net.interaction_table()[["fields", "strength", "evidence"]].head().round(2)

# %%
# A Pipeline keeps statistics of the target honest: training rows get the means of other folds.

models = {
    "logistic regression": ("onehot", LogisticRegression(C=0.1, max_iter=300)),
    "boosted trees": ("target", HistGradientBoostingClassifier(random_state=0)),
}
rows = []
for name, (encoder, model) in models.items():
    for n_crosses in [0, 2, 5, 15]:
        features = InteractionFeatures(
            net, n_interactions=n_crosses, encoder=encoder, prefit=True, random_state=0
        )
        pipeline = make_pipeline(features, model).fit(X_train, y_train)
        loss = log_loss(y_test, pipeline.predict_proba(X_test)[:, 1])
        rows.append({"model": name, "crosses": n_crosses, "log loss": loss})
losses = pd.DataFrame(rows).pivot(index="crosses", columns="model", values="log loss")
losses.round(4)

# %%
# Two crosses bring most of it, and with more of them the linear model is as good as the trees.

constant = log_loss(y_test, np.full(len(y_test), y_train.mean()))
own = log_loss(y_test, net.predict_proba(X_test)[:, 1])
figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
losses.plot(ax=ax, marker="o")
for value, label, x in [(own, "DynInt itself", 0), (constant, "mean of the training rows", 15)]:
    ax.axhline(value, color="0.5", lw=1, ls="--")
    ax.annotate(label, (x, value), ha="right" if x else "left", va="bottom", color="0.35")
ax.set_xlabel("discovered crosses added to the fields")
ax.set_ylabel("log loss on test rows")
ax.set_xticks(losses.index)
ax.margins(y=0.1)
plt.show()
