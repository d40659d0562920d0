"""Identities of the interaction layers, in float64."""

from itertools import combinations

import numpy as np
import pytest
import torch

from sparsectr.methods.dynint.layers import (
    DynamicActivationLayer,
    GateNetwork,
    GeneratedLayer,
    PinLayer,
    WeightedLayer,
    column_cosines,
    split_subspaces,
)

B, D, N, K = 5, 3, 7, 2
LAYERS = [
    lambda: PinLayer(N),
    lambda: DynamicActivationLayer(N),
    lambda: GeneratedLayer(N, K),
    lambda: WeightedLayer(N, K),
]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def x(generator):
    return torch.randn(B, D, N, dtype=torch.float64, generator=generator)


def make(layer, generator):
    layer.reset_parameters(generator)
    return layer.double()


def random_gate(layer, generator):
    if not layer.gate_size:
        return None
    return torch.randn(B, layer.gate_size, dtype=torch.float64, generator=generator)


def dense_weights(layer, gate):
    """Build the (B, n, n) matrix of every row, the way the papers write it."""
    if isinstance(layer, GeneratedLayer):
        values = torch.diag_embed(1 + gate)
        return layer.left @ values @ layer.right.mT
    weight = layer.weight.expand(B, N, N)
    if isinstance(layer, DynamicActivationLayer):
        return 2 * torch.sigmoid(gate)[:, :, None] * weight
    if isinstance(layer, WeightedLayer):
        u, v = gate.reshape(B, 2, K, N).unbind(1)
        offset = 1 / np.sqrt(K)
        return torch.einsum("bkm,bkn->bmn", u + offset, v + offset) * weight
    return weight


@pytest.mark.parametrize("make_layer", LAYERS)
def test_a_layer_is_the_product_with_its_dense_matrix(make_layer, generator, x):
    layer = make(make_layer(), generator)
    gate = random_gate(layer, generator)
    expected = torch.einsum("bmn,bdn->bdm", dense_weights(layer, gate), x)
    torch.testing.assert_close(layer(x, gate), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("make_layer", LAYERS)
def test_the_matrix_of_one_row_is_its_dense_matrix(make_layer, generator, x):
    layer = make(make_layer(), generator)
    gate = random_gate(layer, generator)
    expected = dense_weights(layer, gate)
    for row in range(B):
        one = None if gate is None else gate[row : row + 1]
        found = layer.matrix(one)
        dense = expected[row] if expected.dim() == 3 else expected
        torch.testing.assert_close(found, dense, rtol=0, atol=1e-13)


@pytest.mark.parametrize("make_layer", LAYERS[1:])
def test_a_gate_of_zeros_gives_the_static_layer(make_layer, generator, x):
    layer = make(make_layer(), generator)
    gate = torch.zeros(B, layer.gate_size, dtype=torch.float64)
    static = layer.left @ layer.right.mT if isinstance(layer, GeneratedLayer) else layer.weight
    torch.testing.assert_close(layer(x, gate), x @ static.mT, rtol=0, atol=1e-14)


def test_full_rank_generated_weights_are_any_matrix(generator, x):
    weight = torch.randn(N, N, dtype=torch.float64, generator=generator)
    left, values, right_t = torch.linalg.svd(weight)
    layer = make(GeneratedLayer(N, N), generator)
    with torch.no_grad():
        layer.left.copy_(left)
        layer.right.copy_(right_t.mT)
    gate = (values - 1).expand(B, N)
    torch.testing.assert_close(layer(x, gate), x @ weight.mT, rtol=0, atol=3e-14)


def test_generated_weights_have_at_most_the_rank(generator):
    layer = make(GeneratedLayer(N, K), generator)
    dense = dense_weights(layer, random_gate(layer, generator))
    assert (torch.linalg.matrix_rank(dense) <= K).all()


def test_the_paper_offset_shrinks_the_static_weights_by_the_rank(generator, x):
    # With u = v = 1/K the published form starts from W / K; the offset 1/sqrt(K) from W (D-2).
    layer = make(WeightedLayer(N, K), generator)
    gate = torch.full((B, layer.gate_size), 1 / K - K**-0.5, dtype=torch.float64)
    expected = x @ (layer.weight / K).mT
    torch.testing.assert_close(layer(x, gate), expected, rtol=0, atol=1e-14)


def test_activation_gates_lie_between_zero_and_two(generator, x):
    layer = make(DynamicActivationLayer(N), generator)
    static = PinLayer.forward(layer, x, None)
    ratio = layer(x, 3 * random_gate(layer, generator)) / static
    assert ((ratio > 0) & (ratio < 2)).all()
    closed = layer(x, torch.full((B, N), -1e4, dtype=torch.float64))
    assert (closed == 0).all()


@pytest.mark.parametrize("n_subspaces", [1, 2, 4])
def test_split_stacks_the_blocks_of_the_embedding_axis(n_subspaces):
    embeddings = torch.arange(2 * 5 * 8, dtype=torch.float64).reshape(2, 5, 8)
    found = split_subspaces(embeddings, n_subspaces)
    blocks = embeddings.chunk(n_subspaces, dim=2)  # each (B, F, D / h)
    torch.testing.assert_close(found, torch.cat(blocks, dim=1).mT, rtol=0, atol=0)


@pytest.mark.parametrize("make_layer", [GeneratedLayer, WeightedLayer])
@pytest.mark.parametrize("rank", [1, 2, 4])
def test_generated_weights_start_alike_and_not_parallel(make_layer, rank, generator):
    """Crosses start with about the same weight, though components point apart."""
    n_rows = 40
    layer = make(make_layer(n_rows, rank), generator)
    gate = torch.zeros(1, layer.gate_size, dtype=torch.float64) + layer.gate_start(generator)
    entries = layer.matrix(gate) * n_rows**0.5
    assert entries.mean().item() == pytest.approx(1, abs=0.1)
    assert entries.std().item() < 0.25
    n_pairs = rank * (rank - 1)  # of both sides
    assert layer.penalty(gate).item() <= 0.3 * n_pairs


def sum_of_cosines(vectors):
    """Sum abs(cos) over all pairs of vectors, one by one."""
    return sum(
        abs(u @ v) / (np.linalg.norm(u) * np.linalg.norm(v)) for u, v in combinations(vectors, 2)
    )


class TestPenalty:
    def test_orthonormal_vectors_cost_nothing(self, generator):
        basis = torch.linalg.qr(torch.randn(6, 4, dtype=torch.float64, generator=generator)).Q
        torch.testing.assert_close(
            column_cosines(basis.mT), torch.zeros((), dtype=torch.float64), rtol=0, atol=1e-14
        )

    @pytest.mark.parametrize("rank", [1, 2, 5])
    def test_parallel_vectors_cost_one_per_pair(self, rank):
        vectors = torch.ones(rank, 6, dtype=torch.float64)
        cost = column_cosines(vectors).item()
        assert cost == pytest.approx(rank * (rank - 1) / 2, abs=1e-12)

    def test_scale_and_sign_do_not_matter(self, generator):
        vectors = torch.randn(3, 6, dtype=torch.float64, generator=generator)
        scale = torch.tensor([[-2.0], [0.1], [30.0]], dtype=torch.float64)
        torch.testing.assert_close(column_cosines(vectors), column_cosines(scale * vectors))

    @pytest.mark.parametrize("make_layer", LAYERS[2:])
    def test_is_the_sum_of_the_cosines_of_both_factors(self, make_layer, generator):
        layer = make(make_layer(), generator)
        gate = random_gate(layer, generator)
        if isinstance(layer, GeneratedLayer):
            for factor in (layer.left, layer.right):
                factor.data.normal_(generator=generator)
            rows = [(layer.left.detach().numpy().T, layer.right.detach().numpy().T)]
        else:
            rows = [np.split(row + K**-0.5, 2) for row in gate.detach().numpy()]
            rows = [[side.reshape(K, N) for side in sides] for sides in rows]
        # The smaller of both sums must show, whichever sign it had.
        sums = np.array([[sum_of_cosines(vectors) for vectors in sides] for sides in rows])
        assert sums.min() > 0.01
        assert layer.penalty(gate).item() == pytest.approx(sums.sum(1).mean(), rel=1e-12)

    def test_rank_one_and_static_layers_have_none(self, generator):
        rank_one = make(GeneratedLayer(N, 1), generator).penalty(None)
        assert rank_one.item() == pytest.approx(0, abs=1e-15)
        assert make(PinLayer(N), generator).penalty(None) == 0

    def test_of_weighted_layers_is_a_mean_over_rows(self, generator):
        layer = make(WeightedLayer(N, K), generator)
        gate = random_gate(layer, generator)
        rows = [layer.penalty(row[None]).item() for row in gate]
        assert layer.penalty(gate).item() == pytest.approx(np.mean(rows), rel=1e-12)
        assert min(rows) > 0


@pytest.mark.parametrize("make_layer", LAYERS[1:])
def test_dynamic_layers_refuse_a_missing_gate(make_layer, generator, x):
    with pytest.raises(ValueError, match="gate network"):
        make(make_layer(), generator)(x, None)


def test_gate_network_is_two_linear_layers(generator):
    network = GateNetwork(4, 3, 2)
    network.reset_parameters(generator)
    network = network.double()
    flat = torch.randn(B, 4, dtype=torch.float64, generator=generator)
    w1, b1, w2, b2 = (p.detach().numpy() for p in network.parameters())
    expected = np.maximum(flat.numpy() @ w1.T + b1, 0) @ w2.T + b2
    np.testing.assert_allclose(network(flat).detach().numpy(), expected, rtol=0, atol=1e-14)
