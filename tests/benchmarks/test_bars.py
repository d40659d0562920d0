"""What was to be reached, beside what was measured."""

import pytest
from suite.bars import HEAD, Row, compare_defaults, compare_with_bars

PUBLISHED = 0.98


def row(dataset, title, roc_auc, log_loss, *, ours=True, averaged=False, model="", n_seeds=3):
    return Row(dataset, model, title, ours, averaged, n_seeds, roc_auc, log_loss)


def test_only_bars_with_rows_are_listed():
    assert list(compare_with_bars([], PUBLISHED)) == []
    lines = list(compare_with_bars([row("amazon", "A", 0.9, 0.14, n_seeds=1)], PUBLISHED))
    assert lines == [["amazon", "log loss below", ".1380", ".1400", "A (1 seed)", "**no**"]]
    (line,) = compare_with_bars([row("adult", "A", 0.9, 0.3), row("adult", "B", 0.8, 0.27)], 1.0)
    assert line[2:] == [".2800", ".2700", "B (3 seeds)", "yes"]
    assert len(line) == len(HEAD)


def test_frappe_asks_the_best_and_the_worst_of_ours():
    rows = [row("frappe", "A", 0.99, 0.1), row("frappe", "B", 0.97, 0.1)]
    rows += [row("frappe", "peer", 0.9995, 0.1, ours=False)]
    (best,) = compare_with_bars(rows, PUBLISHED)
    assert best[2:] == [".9800", ".9900", "A (3 seeds)", "yes"]
    rows += [row("frappe", "DCN-V2", 0.9705, 0.1, ours=False, model="fuxictr-dcn-v2")]
    _, worst = compare_with_bars(rows, PUBLISHED)
    assert worst[2:] == [".9695", ".9700", "B (3 seeds)", "yes"]
    rows += [row("frappe", "DCN-V2", 0.972, 0.1, ours=False, model="fuxictr-dcn-v2")]
    assert list(compare_with_bars(rows, PUBLISHED))[1][-1] == "**no**"


def test_peers_are_to_be_beaten_with_means_and_by_single_fits():
    rows = [
        row("ml1m", "mean", 0.9, 0.4, averaged=True),
        row("ml1m", "single", 0.8, 0.5),
        row("ml1m", "peer", 0.81, 0.51, ours=False),
        row("ml1m", "mean of peers", 0.91, 0.41, ours=False, averaged=True),
    ]
    found = {line[1]: line[2:] for line in compare_with_bars(rows, PUBLISHED)}
    assert found == {
        "log loss below every peer's": [".4100", ".4000", "mean (3 seeds)", "yes"],
        "AUC above every peer's": [".9100", ".9000", "mean (3 seeds)", "**no**"],
        "log loss below every peer's, single fits": [".5100", ".5000", "single (3 seeds)", "yes"],
        "AUC above every peer's, single fits": [".8100", ".8000", "single (3 seeds)", "**no**"],
    }


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ([0.0, 0.001, -0.01, 0.0009, 0.1], ["4 of 5", "A", "yes"]),
        ([0.0, 0.0, 0.0, 0.002, 0.1], ["3 of 5", "A", "**no**"]),
    ],
)
def test_defaults_are_to_be_near_the_best_trial(gains, said):
    (line,) = compare_defaults({"A": gains, "tuned on few tables": gains[:3]}, "test")
    assert line[1].startswith("test AUC")
    assert line[3:] == said
    assert len(line) == len(HEAD)
