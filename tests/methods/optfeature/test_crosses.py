import itertools

import numpy as np
import pytest
import torch

from sparsectr.methods.optfeature import crosses as crosses_module
from sparsectr.methods.optfeature.crosses import OuterCrosses, inner_crosses


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_inner_crosses_agree_with_gathered_sets():
    vectors, scale = draw(5, 6, 4), draw(4, seed=1)
    for order in (2, 3, 4):
        sets = np.array(list(itertools.combinations(range(6), order)))
        gathered = vectors.numpy()[:, sets]  # (B, P, order, D)
        expected = (gathered.prod(axis=2) * scale.numpy()).sum(-1)
        np.testing.assert_allclose(inner_crosses(vectors, order, scale), expected, atol=1e-12)


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("numbers_at_once", [1, 50, 10_000])
def test_gradients_of_inner_crosses(monkeypatch, order, numbers_at_once):
    monkeypatch.setattr(crosses_module, "NUMBERS_AT_ONCE", numbers_at_once)
    vectors, scale = draw(3, 5, 4).requires_grad_(), draw(4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda v, s: inner_crosses(v, order, s), (vectors, scale))
    assert torch.autograd.gradcheck(lambda v: inner_crosses(v, order), (vectors,))
    one = inner_crosses(vectors[0], order, scale)
    torch.testing.assert_close(one, inner_crosses(vectors, order, scale)[0])


def test_outer_crosses_agree_with_gathered_pairs():
    crosses, embeddings = OuterCrosses(4, 3).double(), draw(5, 4, 3)
    crosses.reset_parameters(torch.Generator().manual_seed(0))
    pairs = itertools.combinations(range(4), 2)
    expected = [
        np.einsum("bd,de,be->b", embeddings[:, i], weight, embeddings[:, j])
        for (i, j), weight in zip(pairs, crosses.weight.detach().numpy(), strict=True)
    ]
    np.testing.assert_allclose(crosses(embeddings).detach(), np.stack(expected, 1), atol=1e-12)
