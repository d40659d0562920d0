"""What is told about parts and crosses, of made folds and crosses."""

import numpy as np
import pytest

from sparsectr import Interaction
from sparsectr.ensembles.folds import PARTS, Fold
from sparsectr.ensembles.reports import list_interactions, make_leaderboard
from sparsectr.ensembles.stacking import blended_loss, fit_stack


def test_strengths_are_means_over_the_nets_times_their_weight():
    listed = [
        [Interaction(("a", "b"), 2, 0.4)],
        [Interaction(("b", "c", "d"), 3, 1.0), Interaction(("a", "b"), 2, 0.2)],
    ]
    found = list_interactions(listed, 0.5)
    assert [(cross.fields, cross.order) for cross in found] == [
        (("b", "c", "d"), 3),
        (("a", "b"), 2),
    ]
    assert [cross.strength for cross in found] == pytest.approx([0.25, 0.15])
    assert list_interactions(listed, 0.0) == []


def test_a_part_is_worth_what_the_blend_lacks_without_it():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(3, 500))
    numbers = (rng.random(500) < 1 / (1 + np.exp(-logits[0] - logits[2]))).astype(np.int64)
    log_odds, weights = np.stack([-logits, logits], axis=-1) / 2, np.ones(500)
    halves = [slice(0, 250), slice(250, 500)]
    folds = [
        Fold(
            {},
            np.arange(500)[part],
            log_odds[:, part],
            dict(zip(PARTS, (1.0, 2.0, 4.0), strict=True)),
        )
        for part in halves
    ]
    stack = fit_stack(log_odds, numbers, weights)
    board = make_leaderboard(folds, stack, log_odds, numbers, weights).set_index("part")
    assert board["seconds"].tolist() == [2, 4, 8, 14]
    for place, part in enumerate(PARTS):
        rest = np.delete(log_odds, place, axis=0)
        without = blended_loss(fit_stack(rest, numbers, weights).apply(rest), numbers, weights)
        assert board.loc[part, "log_loss_without"] == pytest.approx(without)
        assert board.loc[part, "log_loss"] == blended_loss(log_odds[place], numbers, weights)
    assert board["log_loss_without"].idxmin() == "trees"  # of which the labels know nothing
