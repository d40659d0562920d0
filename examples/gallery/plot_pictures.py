"""
Pictures of many crosses
========================

Bars suit a short list. A matrix shows which fields belong together, a graph shows crosses of any
order at once.
"""

# %%
# PROFIT searches pairs and triples of the flights and keeps eight of each.

import matplotlib.pyplot as plt

from sparsectr import InteractionDisplay, ProfitClassifier
from sparsectr.datasets import load_flights

X, y = load_flights(return_X_y=True)
X = X.sample(20_000, random_state=0)
clf = ProfitClassifier(max_order=3, n_crosses=8, random_state=0).fit(X, y[X.index])
clf.interaction_table()[["fields", "strength", "evidence", "significant"]].head(8)

# %%
# In the matrix, a pair counts by itself and in all larger crosses that hold it.

InteractionDisplay.from_estimator(clf, kind="matrix")
plt.show()

# %%
# In the graph, a line is a pair, and a star of lines is a larger cross.

InteractionDisplay.from_estimator(clf, kind="graph")
plt.show()
