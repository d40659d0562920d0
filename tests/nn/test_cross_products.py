"""Products of listed crosses, against products one by one."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsectr.export.row_program import RowProgram
from sparsectr.nn.cross_products import CrossProducts, WeightedCrosses

F = 6
CROSSES = st.lists(
    st.sets(st.integers(0, F - 1), min_size=1, max_size=4).map(lambda s: tuple(sorted(s))),
    min_size=1,
    max_size=12,
    unique=True,
).map(lambda crosses: sorted(crosses, key=len))


def draw_embeddings():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(3, F, 2, generator=generator, dtype=torch.float64)


@settings(deadline=None)
@given(CROSSES)
def test_products_equal_those_of_the_single_crosses(crosses):
    embeddings = draw_embeddings()
    expected = torch.stack([embeddings[:, list(cross)].prod(1) for cross in crosses])
    torch.testing.assert_close(CrossProducts(crosses)(embeddings), expected, rtol=0, atol=1e-14)


def test_no_crosses_give_no_products():
    layer = WeightedCrosses([]).double()
    assert layer(draw_embeddings()).shape == (0, 3, 2)
    assert not layer.sum(draw_embeddings()).any()


def test_the_sum_is_that_of_the_weighted_products():
    layer = WeightedCrosses([(0, 1), (2, 5), (0, 1, 4)]).double()
    layer.weight.data.copy_(torch.tensor([0.5, -2.0, 3.0]))
    embeddings = draw_embeddings()
    torch.testing.assert_close(layer.sum(embeddings), layer(embeddings).sum(0), rtol=0, atol=1e-14)


def test_shared_prefixes_are_computed_once():
    layer = CrossProducts([(0, 1, 2), (0, 1, 3), (0, 1, 4)])
    assert len(layer.get_buffer("fields_2")) == 1
    assert len(layer.get_buffer("fields_3")) == 3


class SumOfCrosses:
    """Writes the sum of weighted crosses; what it is given are embeddings, not codes."""

    def __init__(self, crosses):
        self.crosses = crosses

    def write(self, graph, embeddings):
        return self.crosses.write_sum(graph, embeddings, F)


@settings(deadline=None)
@given(CROSSES)
def test_the_sum_in_a_graph_is_that_of_the_products(crosses):
    embeddings, weighted = draw_embeddings(), WeightedCrosses(crosses).double()
    with torch.no_grad():
        weighted.weight.copy_(torch.linspace(-1, 2, len(crosses)))
        expected = weighted.sum(embeddings)
    program = RowProgram(SumOfCrosses(weighted))
    for row, one in zip(embeddings, expected, strict=True):
        written = torch.from_numpy(program(row.tolist())[0])
        torch.testing.assert_close(written, one, rtol=0, atol=1e-13)


def test_the_sum_of_no_cross():
    assert WeightedCrosses([]).write_sum(None, "embeddings", F) is None
