"""Draw docs/crosses.png, the picture of README and landing page: the model of their example."""

from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.model_selection import train_test_split

from sparsectr import DynIntClassifier, InteractionDisplay
from sparsectr.datasets import load_flights

PICTURE = Path(__file__).parents[1] / "docs" / "crosses.png"


def main():
    X, y = load_flights(return_X_y=True)
    X_train, _, y_train, _ = train_test_split(X, y, test_size=0.2, random_state=0)
    clf = DynIntClassifier(random_state=0).fit(X_train, y_train)

    figure, (bars, grid) = plt.subplots(
        1, 2, figsize=(11, 4.2), layout="constrained", width_ratios=[1, 1.6]
    )
    InteractionDisplay.from_estimator(clf, n_interactions=8, ax=bars)
    _, counts = plt.subplots()  # the numbers of rows, which are not shown
    InteractionDisplay.from_values(clf, ["month", "day"], n_values=31, ax=[grid, counts])
    bars.set_title("crosses of late flights", loc="left", fontsize=10)
    grid.set_title("the strongest: effect of every date", loc="left", fontsize=10)
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
