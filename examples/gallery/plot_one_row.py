"""
Why this flight? One row explained
==================================

The log-odds of a row are a sum: a constant, the effects of its fields, and the effects of its
crosses.
"""

# %%
# A model of late flights, with pairs only, so that the sum stays short.

import matplotlib.pyplot as plt
from scipy.special import logit
from sklearn.model_selection import train_test_split

from sparsectr import DynIntClassifier, InteractionDisplay
from sparsectr.datasets import load_flights

X, y = load_flights(return_X_y=True)
X = X.sample(50_000, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y[X.index], test_size=0.04, random_state=0)
clf = DynIntClassifier(n_layers=1, random_state=0).fit(X_train, y_train)

# %%
# The flight of the test rows with the highest probability of being late:

probabilities = clf.predict_proba(X_test)[:, 1]
place = probabilities.argmax()
flight = X_test.iloc[[place]]
print(f"probability {probabilities[place]:.2f}, late: {bool(y_test.iloc[place])}")
flight.T

# %%
# ``explain`` lists its crosses by the size of their effect, with the values that the row has.

clf.explain(flight, top=5)

# %%
# With ``complete=True`` the list goes on with the fields and the constant, and its sum is the
# log-odds of the row. The waterfall shows how they add up: it begins with a flight of which no
# field is known, and ends at the probability of this one.

complete = clf.explain(flight, top=None, complete=True)
print(f"sum {complete['contribution'].sum():.4f}, log-odds {logit(probabilities[place]):.4f}")
display = InteractionDisplay.from_explanation(complete)
plt.show()
