"""Draw docs/crosses.png, the picture of README and landing page: the model of their example.

A telephone shows it 460 pixels wide. A point is then a pixel: texts have 9 points or more.
"""

from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.model_selection import train_test_split

from sparsectr import DynIntClassifier, InteractionDisplay
from sparsectr.datasets import load_flights

PICTURE = Path(__file__).parents[1] / "docs" / "crosses.png"
WIDTH, HEIGHT = 460 / 72, 235 / 72  # inches
DAYS = [1, 5, 10, 15, 20, 25, 30]


def main():
    X, y = load_flights(return_X_y=True)
    X_train, _, y_train, _ = train_test_split(X, y, test_size=0.2, random_state=0)
    clf = DynIntClassifier(random_state=0).fit(X_train, y_train)

    plt.rcParams.update({"font.size": 10, "xtick.labelsize": 9, "ytick.labelsize": 9})
    figure, (bars, grid) = plt.subplots(
        1, 2, figsize=(WIDTH, HEIGHT), layout="constrained", width_ratios=[1, 2]
    )
    table = clf.interaction_table()
    table = table[table["significant"]].head(5)
    InteractionDisplay(table[["fields", "strength", "strength_error"]]).plot(ax=bars)
    names = [" × ".join(fields) for fields in table["fields"]]
    labels = ["\n×".join(name.rsplit(" ×", name.count("×") - 1)) for name in names]
    bars.set_yticks(range(len(table)), labels)
    bars.set_xticks([0, 0.5])
    bars.set_xlabel("strength")
    bars.set_title("", loc="left")
    bars.set_title("crosses of late flights", loc="right", fontsize=10)

    _, counts = plt.subplots()  # the numbers of rows, which are not shown
    InteractionDisplay.from_values(clf, ["month", "day"], n_values=31, ax=[grid, counts])
    grid.set_xticks([day - 1 for day in DAYS], DAYS, rotation=0, size=9)
    grid.set_yticks(range(0, 12, 2), range(1, 13, 2), size=9)
    grid.set_title("month × day: effect", loc="left", fontsize=10)
    figure.savefig(PICTURE, dpi=216)


if __name__ == "__main__":
    main()
