import pytest
import torch
from torch.nn import functional

from sparsectr.training.optimizers.row_adam import RowAdam


def draw(seed, shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def backward(table, codes, directions, *, sparse):
    """Set the gradient of a loss that is linear in the looked-up rows."""
    table.grad = None
    (functional.embedding(codes, table, sparse=sparse) * directions).sum().backward()


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
def test_equals_adam_where_every_step_touches_every_row(weight_decay):
    options = {"lr": 0.05, "betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": weight_decay}
    ours, theirs = (torch.nn.Parameter(draw(0, (7, 3))) for _ in range(2))
    row_adam, adam = RowAdam([ours], **options), torch.optim.Adam([theirs], **options)
    codes = torch.tensor([3, 0, 1, 2, 3, 6, 5, 4, 3, 0])
    for seed in range(1, 30):
        directions = draw(seed, (10, 3))
        backward(ours, codes, directions, sparse=True)
        backward(theirs, codes, directions, sparse=False)
        row_adam.step()
        adam.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_every_row_follows_an_adam_of_its_own():
    options = {"lr": 0.05, "weight_decay": 0.01}
    table = torch.nn.Parameter(draw(0, (5, 3)))
    singles = [torch.nn.Parameter(table.detach()[row].clone()) for row in range(5)]
    row_adam = RowAdam([table], **options)
    adams = [torch.optim.Adam([single], **options) for single in singles]
    for seed in range(1, 25):
        codes = torch.randint(5, (3,), generator=torch.Generator().manual_seed(seed))
        directions = draw(seed, (3, 3))
        backward(table, codes, directions, sparse=True)
        row_adam.step()
        for row in codes.unique().tolist():
            singles[row].grad = directions[codes == row].sum(dim=0)
            adams[row].step()
    torch.testing.assert_close(table.detach(), torch.stack(singles).detach(), rtol=0, atol=1e-12)


def test_a_row_first_met_late_starts_with_a_step_of_lr():
    table = torch.nn.Parameter(torch.zeros(2, 2, dtype=torch.float64))
    row_adam = RowAdam([table], lr=0.1, eps=1e-15)
    for _ in range(50):
        backward(table, torch.tensor([0]), torch.ones(1, 2, dtype=torch.float64), sparse=True)
        row_adam.step()
    late = torch.tensor([[1e-3, -20.0]], dtype=torch.float64)
    backward(table, torch.tensor([1]), late, sparse=True)
    row_adam.step()
    torch.testing.assert_close(table.detach()[1:], -0.1 * late.sign(), rtol=1e-10, atol=0)


def test_state_is_two_tables_and_one_column_of_counts():
    table = torch.nn.Parameter(torch.zeros(6, 4))
    row_adam = RowAdam([table])
    for codes in ([0, 0, 5], [5]):
        backward(table, torch.tensor(codes), torch.ones(len(codes), 4), sparse=True)
        row_adam.step()
    state = row_adam.state[table]
    assert {name: value.shape for name, value in state.items()} == {
        "exp_avg": (6, 4),
        "exp_avg_sq": (6, 4),
        "step": (6,),
    }
    assert state["step"].dtype == torch.int32
    assert state["step"].tolist() == [1, 0, 0, 0, 0, 2]


def test_two_optimizers_with_columns_of_their_own_share_a_table():
    blocks = [slice(0, 3), slice(3, 5)]
    options = [{"lr": 0.1}, {"lr": 0.01, "weight_decay": 0.5}]
    shared = torch.nn.Parameter(draw(4, (9, 5)))
    apart = [torch.nn.Parameter(shared.detach()[:, block].clone()) for block in blocks]
    sharing = [
        RowAdam([shared], columns=(block.start, block.stop), **option)
        for block, option in zip(blocks, options, strict=True)
    ]
    alone = [RowAdam([table], **option) for table, option in zip(apart, options, strict=True)]
    for step in range(6):
        # By turns: the block that rests has moments, but must not move.
        turn = step % 2
        codes, directions = torch.tensor([step, 8, 8]), draw(step, (3, 5))
        backward(shared, codes, directions, sparse=True)
        backward(apart[turn], codes, directions[:, blocks[turn]], sparse=True)
        sharing[turn].step()
        alone[turn].step()
        apart[turn].grad = None
        assert torch.equal(shared.detach(), torch.cat([table.detach() for table in apart], 1))
    assert sharing[1].state[shared]["exp_avg"].shape == (9, 2)


def test_weight_decay_pulls_on_touched_rows_only():
    table = torch.nn.Parameter(torch.ones(2, 1, dtype=torch.float64))
    row_adam = RowAdam([table], lr=0.1, weight_decay=1.0)
    backward(table, torch.tensor([0]), torch.zeros(1, 1, dtype=torch.float64), sparse=True)
    row_adam.step()
    assert table[0].item() == pytest.approx(0.9)
    assert table[1].item() == 1.0


def test_learns_the_mean_of_every_value():
    codes = torch.arange(40) % 8
    target = draw(3, (40, 2))
    table = torch.nn.Parameter(torch.zeros(8, 2, dtype=torch.float64))
    row_adam = RowAdam([table], lr=0.05)
    for _ in range(800):
        row_adam.zero_grad()
        embeddings = functional.embedding(codes, table, sparse=True)
        ((embeddings - target) ** 2).mean().backward()
        row_adam.step()
    # Rows 0 to 7 in turn, five times: (5, 8, 2).
    torch.testing.assert_close(
        table.detach(), target.reshape(5, 8, 2).mean(dim=0), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, r"lr must be > 0, got 0\.0"),
        ({"lr": float("nan")}, r"lr must be > 0, got nan"),
        ({"eps": 0.0}, r"eps must be > 0"),
        ({"weight_decay": -1.0}, r"weight_decay must be >= 0, got -1\.0"),
        ({"betas": (0.9, 1.0)}, r"betas must lie between 0 and 1, got \(0\.9, 1\.0\)"),
    ],
)
def test_refuses_parameters_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        RowAdam([torch.nn.Parameter(torch.zeros(2, 2))], **options)


def test_refuses_a_parameter_that_is_no_table():
    vector = torch.nn.Parameter(torch.zeros(3))
    vector.grad = torch.ones(3)
    with pytest.raises(ValueError, match="must have 2 dimensions"):
        RowAdam([vector]).step()
