"""
The same crosses on other rows?
===============================

A cross that a model finds in one part of the rows and not in another is not worth a meeting.
``interaction_stability`` fits the model several times and counts.
"""

# %%
# Few rows of clicks, with two planted crosses.

import matplotlib.pyplot as plt

from sparsectr import DynIntClassifier, InteractionDisplay, interaction_stability
from sparsectr.datasets import make_clicks

clicks = make_clicks(
    8_000, n_fields=6, cardinality=10, crosses=[(0, 1), (2, 3)], cross_effect=0.7, random_state=0
)
clf = DynIntClassifier(n_layers=1, random_state=0)

# %%
# Five fits, each without a fifth of the rows. ``frequency`` is the share of fits that have the
# cross among their first four.

stability = interaction_stability(clf, clicks.X, clicks.y, cv=5, n_interactions=4)
stability.head(8)

# %%
# The planted crosses are in all lists, at the top. The others come and go.

InteractionDisplay.from_stability(stability, n_interactions=12)
plt.show()
