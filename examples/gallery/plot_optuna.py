"""
Tuning with Optuna
==================

A grid tries every combination. Optuna looks at the trials so far and tries next what is likely to
be better, which pays when a fit takes minutes.
"""

# %%
# Clicks with a planted cross, and many values that are rare.

import matplotlib.pyplot as plt
import numpy as np
import optuna
from sklearn.model_selection import cross_val_score

from sparsectr import DynIntClassifier, FieldEncoder
from sparsectr.datasets import make_clicks

clicks = make_clicks(5_000, n_fields=4, cardinality=300, crosses=[(0, 1)], random_state=0)

# %%
# An objective takes a trial, asks it for settings and returns the loss. Settings that matter on a
# scale of factors are drawn from a logarithmic one. Parameters of the encoder count as well.


def objective(trial):
    """Return the log loss of threefold cross-validation."""
    clf = DynIntClassifier(
        embedding_l2=trial.suggest_float("embedding_l2", 1e-4, 1e-1, log=True),
        learning_rate=trial.suggest_float("learning_rate", 1e-3, 2e-2, log=True),
        encoder=FieldEncoder(min_frequency=trial.suggest_int("min_frequency", 1, 10)),
        max_epochs=6,
        random_state=0,
    )
    return -cross_val_score(clf, clicks.X, clicks.y, cv=3, scoring="neg_log_loss").mean()


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=6))
study.optimize(objective, n_trials=16)
study.best_params

# %%
# Every trial: later ones gather where the loss is low.

numbers = [trial.number for trial in study.trials]
losses = np.array([trial.value for trial in study.trials])
penalties = [trial.params["embedding_l2"] for trial in study.trials]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained", sharey=True)
left.plot(numbers, losses, "o", color="0.5", label="one trial")
left.step(numbers, np.minimum.accumulate(losses), where="post", label="the best so far")
left.set_xlabel("trial")
left.set_ylabel("log loss, threefold cross-validation")
left.legend()
points = right.scatter(penalties, losses, c=numbers, cmap="viridis")
right.set_xscale("log")
right.set_xlabel("embedding_l2")
figure.colorbar(points, label="trial")
plt.show()

# %%
# ``study.best_params`` holds parameters of two estimators: those of the encoder go into a
# ``FieldEncoder``. The last fit uses all rows.

best = dict(study.best_params)
encoder = FieldEncoder(min_frequency=best.pop("min_frequency"))
clf = DynIntClassifier(encoder=encoder, **best, random_state=0).fit(clicks.X, clicks.y)
print([str(cross) for cross in clf.selected_interactions_[:3]])
