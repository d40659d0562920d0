"""Draw the strength of crosses against the evidence for them, where the truth is known.

Fits `DynIntClassifier` on rows with three planted pairs, one of them weak, and a copy of a field.
The picture shows what a list by strength alone cannot: which of the weak crosses are noise, and
what stands out in the rows but not in the net. Takes some ten seconds on one core and needs
matplotlib:

    python examples/plot_evidence.py --out evidence.png
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from sparsectr import DynIntClassifier

N_ROWS = 20_000
PLANTED = {("a", "b"): 0.8, ("c", "d"): 0.4, ("e", "f"): 0.2}


def draw_rows(seed=1):
    """Return columns of ten letters, and labels: main effects, planted pairs, a copy of a field."""
    rng = np.random.default_rng(seed)
    codes = {name: rng.integers(0, 10, N_ROWS) for name in "abcdefgh"}
    log_odds = -0.5 + sum(rng.normal(0, 0.4, 10)[values] for values in codes.values())
    for (first, second), strength in PLANTED.items():
        table = rng.normal(size=(10, 10))
        table -= table.mean(0)
        table -= table.mean(1, keepdims=True)
        log_odds += strength * (table / table.std())[codes[first], codes[second]]
    codes["copy of a"] = rng.permutation(10)[codes["a"]]
    letters = np.array(list("qrstuvwxyz"), dtype=object)
    X = pd.DataFrame({name: letters[values] for name, values in codes.items()})
    return X, (rng.random(N_ROWS) < 1 / (1 + np.exp(-log_odds))).astype(int)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("evidence.png"), help="the picture")
    arguments = parser.parse_args()
    if not find_spec("matplotlib"):
        parser.error("pictures need matplotlib: python -m pip install matplotlib")
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional

    X, y = draw_rows()
    clf = DynIntClassifier(n_interactions=30, random_state=0).fit(X, y)
    table = clf.interaction_table().query("order == 2")
    missed = clf.missed_interactions().query("order == 2")
    print(table.drop(columns=["order", "active_share", "strength_error"]).head(10))
    print(missed)

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for significant, colour, label in [
        (True, "tab:blue", "significant"),
        (False, "0.6", "not significant: noise, as far as these rows can tell"),
    ]:
        some = table[table["significant"] == significant]
        axes.scatter(some["strength"], some["evidence"], color=colour, label=label)
    if len(missed):
        axes.scatter(
            np.zeros(len(missed)),
            missed["evidence"],
            facecolors="none",
            edgecolors="tab:red",
            label="significant, and not listed by the net",
        )
    for row in table[table["significant"]].itertuples():
        place = (row.strength, row.evidence)
        name = " × ".join(row.fields)
        axes.annotate(name, place, xytext=(6, 4), textcoords="offset points", fontsize=9)
    axes.axhline(0, color="0.8", linewidth=0.8)
    axes.margins(x=0.12, y=0.12)
    axes.set_xlabel("strength: what the net makes of the cross (log-odds)")
    axes.set_ylabel("evidence: what the rows hold\n(normal deviate)")
    axes.legend(loc="lower right")
    figure.savefig(arguments.out, dpi=120)


if __name__ == "__main__":
    main()
