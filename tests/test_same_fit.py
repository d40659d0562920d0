"""Which differences between processes are seen; what follows is in test_process_groups.py."""

import numpy as np
import pytest
import torch

from sparsectr import DynIntClassifier
from sparsectr.rows.labelled import LabelledRows
from sparsectr.rows.memory import MemoryRows
from sparsectr.same_fit import require_same_fit, require_same_split
from sparsectr.training.exchange import Alone, exchanging

X = np.array([["a", "u"], ["b", "v"], ["a", "v"], ["b", "u"]] * 5)
Y = np.arange(20) % 2


class Other(Alone):
    """A process beside one that has said what this one says first."""

    n_processes, rank = 2, 1

    def __init__(self):
        self.first = {}

    def gather(self, value):
        return [self.first.setdefault(type(value), value), value]


def fitted(**parameters):
    return DynIntClassifier(max_epochs=1, **parameters).fit(X, Y)


def make_rows(codes=None, weights=None, numbers=None):
    codes = torch.arange(8, dtype=torch.int32).view(4, 2) if codes is None else codes
    weights = torch.ones(4) if weights is None else weights
    return LabelledRows(MemoryRows(codes), torch.zeros(4), weights, numbers)


def test_equal_fits_pass():
    models = [fitted(random_state=0, device="cpu"), fitted(random_state=1, verbose=1)]
    with exchanging(Other()):
        for model in models:
            require_same_fit(model, make_rows(), make_rows())


@pytest.mark.parametrize(
    ("parameters", "rows", "validation", "named"),
    [
        ({"embedding_dim": 8}, {}, {}, "the parameter embedding_dim"),
        ({}, {"codes": torch.ones(4, 2).int()}, {}, "X must"),
        ({}, {"weights": torch.zeros(4)}, {}, "sample_weight must"),
        ({}, {}, {"weights": torch.zeros(4)}, "sample_weight_val must"),
        ({}, {}, None, "X_val must"),
    ],
)
def test_differences_are_named(parameters, rows, validation, named):
    model, other = fitted(), fitted(**parameters)
    with exchanging(Other()):
        require_same_fit(model, make_rows(), make_rows())
        validation = None if validation is None else make_rows(**validation)
        with pytest.raises(ValueError, match=f"{named}.* got other values in process 1"):
            require_same_fit(other, make_rows(**rows), validation)


def test_all_read_blocks_where_one_must():
    model, first, second = fitted(), make_rows(), make_rows()
    first.source.block_rows = 64
    with exchanging(Other()):
        require_same_fit(model, first, None)
        require_same_fit(model, second, None)
        assert second.source.block_rows == 64


def test_splits_are_compared():
    with exchanging(Other()):
        require_same_split(make_rows(numbers=torch.tensor([1, 2, 3, 4])))
        require_same_split(make_rows(numbers=torch.tensor([1, 2, 3, 4])))
        with pytest.raises(ValueError, match="the rows set apart for validation must be equal"):
            require_same_split(make_rows(numbers=torch.tensor([1, 2, 3, 5])))
