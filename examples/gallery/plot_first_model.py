"""
A first model
=============

Predict which flights arrive late, list the crosses that the model uses, and look at the values of
the strongest one.
"""

# %%
# The bundled table has ten columns and no date. Strings and integers go in as they are.

import matplotlib.pyplot as plt
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from sparsectr import DynIntClassifier, InteractionDisplay
from sparsectr.datasets import load_flights

X, y = load_flights(return_X_y=True)
X = X.sample(50_000, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y[X.index], test_size=0.2, random_state=0)
X_train.head(3)

# %%
# The default settings are a good start. ``random_state`` makes the fit repeatable.

clf = DynIntClassifier(random_state=0).fit(X_train, y_train)
print(f"AUC on test rows: {roc_auc_score(y_test, clf.predict_proba(X_test)[:, 1]):.3f}")

# %%
# ``strength`` says how much a cross moves the log-odds. ``evidence`` says how surely the rows hold
# it: as a normal deviate, whatever the net made of it.

table = clf.interaction_table()
table[["fields", "order", "strength", "evidence", "significant"]].head(8)

# %%
# ``month × day`` is the date, which no single column tells.

InteractionDisplay.from_estimator(clf, n_interactions=12)
plt.show()

# %%
# Which dates? The effect is in log-odds: 1 multiplies the odds of a late flight by 2.7.

figure, axes = plt.subplots(2, 1, figsize=(9, 7), layout="constrained")
InteractionDisplay.from_values(clf, ("month", "day"), n_values=31, ax=axes)
plt.show()

# %%
clf.value_effects(("month", "day")).nlargest(5, "effect")
