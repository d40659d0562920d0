"""
Strength and evidence
=====================

Strength is what the net makes of a cross, evidence is what the rows hold. A picture of both shows
which of the weak crosses are noise, and what stands out in the rows but not in the net.
"""

# %%
# Rows with three planted pairs, one of them weak, and a relabelled copy of a field.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from sparsectr import DynIntClassifier

N_ROWS = 20_000
PLANTED = {("a", "b"): 0.8, ("c", "d"): 0.4, ("e", "f"): 0.2}  # standard deviations in log-odds

rng = np.random.default_rng(1)
codes = {name: rng.integers(0, 10, N_ROWS) for name in "abcdefgh"}
log_odds = -0.5 + sum(rng.normal(0, 0.4, 10)[values] for values in codes.values())
for (first, second), strength in PLANTED.items():
    effects = rng.normal(size=(10, 10))
    effects -= effects.mean(0)
    effects -= effects.mean(1, keepdims=True)
    log_odds += strength * (effects / effects.std())[codes[first], codes[second]]
codes["copy of a"] = rng.permutation(10)[codes["a"]]
letters = np.array(list("qrstuvwxyz"), dtype=object)
X = pd.DataFrame({name: letters[values] for name, values in codes.items()})
y = (rng.random(N_ROWS) < 1 / (1 + np.exp(-log_odds))).astype(int)

# %%
# ``shares_with`` says which listed crosses tell the same: no data can decide whether ``a`` or its
# copy is crossed with ``b``.

clf = DynIntClassifier(n_interactions=30, random_state=0).fit(X, y)
table = clf.interaction_table(fdr=0.05).query("order == 2")
table[["fields", "strength", "evidence", "significant", "shares_with"]].head(8)

# %%
# What stands out in the rows and is not in the list:

missed = clf.missed_interactions(fdr=0.05).query("order == 2")
missed

# %%
figure, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
for significant, colour, label in [
    (True, "tab:blue", "significant"),
    (False, "0.6", "not significant: noise, as far as these rows can tell"),
]:
    some = table[table["significant"] == significant]
    ax.scatter(some["strength"], some["evidence"], color=colour, label=label)
if len(missed):
    ax.scatter(
        np.zeros(len(missed)),
        missed["evidence"],
        facecolors="none",
        edgecolors="tab:red",
        label="significant, and not listed by the net",
    )
for row in table[table["significant"]].itertuples():
    place = (row.strength, row.evidence)
    ax.annotate(" × ".join(row.fields), place, xytext=(6, 4), textcoords="offset points")
ax.axhline(0, color="0.8", lw=0.8)
ax.margins(x=0.12, y=0.12)
ax.set_xlabel("strength: what the net makes of the cross (log-odds)")
ax.set_ylabel("evidence: what the rows hold\n(normal deviate)")
ax.legend(loc="lower right")
plt.show()
