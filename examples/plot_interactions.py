"""Look at what a model of late flights has learnt: which columns matter together, and how.

Fits `ProfitClassifier` on a third of the flights that left New York City in 2013, prints its
crosses and the reasons for a few predictions, and saves pictures of the crosses, of the values of
the strongest one, and of how often three fits found the same. Takes about three minutes on one core
and needs matplotlib:

    python examples/plot_interactions.py --out pictures
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from sparsectr import InteractionDisplay, ProfitClassifier, interaction_stability
from sparsectr.datasets import load_flights


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of the pictures")
    parser.add_argument("--rows", type=int, default=100_000, help="number of flights")
    arguments = parser.parse_args()
    if not find_spec("matplotlib"):  # before minutes of training
        parser.error("pictures need matplotlib: python -m pip install matplotlib")
    arguments.out.mkdir(parents=True, exist_ok=True)
    pd.set_option("display.width", 120, "display.max_columns", 20, "display.precision", 3)

    X, y = load_flights(return_X_y=True)
    X = X.sample(arguments.rows, random_state=0)
    y = y[X.index]
    clf = ProfitClassifier(max_order=3, n_crosses=8, random_state=0).fit(X, y)

    print("The strongest crosses, with standard errors of their strengths:")
    print(clf.interaction_table().head(8)[["fields", "strength", "active_share", "strength_error"]])

    print("\nWhat moved the log-odds of the first three flights:")
    print(clf.explain(X[:3], top=3))

    fields = next(cross.fields for cross in clf.selected_interactions_ if cross.order == 2)
    print(f"\nThe values of {' × '.join(fields)} that delay most:")
    print(clf.value_effects(fields).nlargest(5, "effect"))

    print("\nThe same crosses on other rows:")
    stability = interaction_stability(clf, X, y, cv=3, n_interactions=8)
    print(stability.head(8))

    displays = {
        "fields": InteractionDisplay.from_estimator(clf, kind="fields"),
        "hours": InteractionDisplay.from_values(clf, ["hour"]),
        "bars": InteractionDisplay.from_estimator(clf),
        "matrix": InteractionDisplay.from_estimator(clf, kind="matrix"),
        "graph": InteractionDisplay.from_estimator(clf, kind="graph"),
        "values": InteractionDisplay.from_values(clf, fields, n_values=31),
        "stability": InteractionDisplay.from_stability(stability),
    }
    for name, display in displays.items():
        display.figure_.savefig(arguments.out / f"{name}.png", dpi=100)
    print(f"\nPictures: {arguments.out}/{{{','.join(displays)}}}.png")


if __name__ == "__main__":
    main()
