import copy
import io

import pytest
import torch
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sparsectr.training.optimizers.ftrl import FTRL
from sparsectr.training.optimizers.group_ftrl import GroupFTRL
from sparsectr.training.optimizers.row_adagrad import RowAdagrad
from sparsectr.training.optimizers.row_adam import RowAdam

TABLE_OPTIMIZERS = [RowAdagrad, RowAdam, GroupFTRL]


def make_table(n_rows, dim, dtype=torch.float64, device="cpu"):
    generator = torch.Generator().manual_seed(0)
    table = torch.randn((n_rows, dim), generator=generator, dtype=dtype)
    return torch.nn.Parameter(table.to(device))


def loss_of(table, seed, n_lookups=30):
    """A loss of random lookups, most of them repeated rows."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(table.shape[0] // 2, (n_lookups,), generator=generator)
    target = torch.randn((n_lookups, table.shape[1]), generator=generator, dtype=torch.float64)
    embeddings = functional.embedding(codes.to(table.device), table, sparse=True)
    return ((embeddings - target.to(embeddings)) ** 2).sum()


def train(optimizer, table, seeds):
    for seed in seeds:
        optimizer.zero_grad()
        loss_of(table, seed).backward()
        optimizer.step()


class RecordAllocations(TorchDispatchMode):
    """Note the largest tensor with memory of its own that any operation returns."""

    def __init__(self):
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if is_strided(leaf)]
        known = {tensor.untyped_storage().data_ptr() for tensor in inputs}
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if is_strided(tensor) and tensor.untyped_storage().data_ptr() not in known:
                self.largest = max(self.largest, tensor.numel())
        return result


def is_strided(leaf):
    return isinstance(leaf, torch.Tensor) and leaf.layout == torch.strided


@pytest.mark.parametrize("optimizer_class", TABLE_OPTIMIZERS)
def test_a_step_allocates_nothing_of_the_size_of_the_table(optimizer_class):
    table = make_table(20_000, 4)
    optimizer = optimizer_class([table])
    loss_of(table, seed=0, n_lookups=50).backward()
    with RecordAllocations() as first:
        optimizer.step()
    with RecordAllocations() as later:
        optimizer.step()
    state = max(value.numel() for value in optimizer.state[table].values())
    assert first.largest >= state >= len(table)  # it is made, and the recorder sees it
    assert 0 < later.largest <= 50 * 4


@pytest.mark.parametrize("optimizer_class", TABLE_OPTIMIZERS)
def test_untouched_rows_and_their_state_keep_their_bits(optimizer_class):
    table = make_table(40, 3, torch.float32)
    optimizer = optimizer_class([table])
    train(optimizer, table, range(3))
    before = table.detach().clone()
    state_before = copy.deepcopy(optimizer.state[table])

    train(optimizer, table, [7])

    touched = torch.zeros(40, dtype=torch.bool)
    touched[table.grad._indices()[0]] = True
    assert 0 < touched.sum() < 20
    assert torch.equal(table[~touched], before[~touched])
    assert (table != before)[touched].any(dim=1).all()
    for name, value in optimizer.state[table].items():
        assert torch.equal(value[~touched], state_before[name][~touched])


@pytest.mark.parametrize("optimizer_class", TABLE_OPTIMIZERS)
def test_a_dense_gradient_equals_a_sparse_one_of_all_rows(optimizer_class):
    sparse, dense = make_table(6, 3), make_table(6, 3)
    generator = torch.Generator().manual_seed(1)
    optimizers = optimizer_class([sparse]), optimizer_class([dense])
    for _ in range(4):
        gradient = torch.randn((6, 3), generator=generator, dtype=torch.float64)
        sparse.grad, dense.grad = gradient.to_sparse(1), gradient
        for optimizer in optimizers:
            optimizer.step()
    assert torch.equal(sparse, dense)


@pytest.mark.parametrize("optimizer_class", TABLE_OPTIMIZERS)
def test_training_goes_on_from_a_saved_state_with_the_same_bits(optimizer_class):
    table = make_table(20, 3, torch.float32)
    optimizer = optimizer_class([table])
    train(optimizer, table, range(5))
    file = io.BytesIO()
    torch.save((table, optimizer.state_dict()), file)
    train(optimizer, table, range(5, 10))

    file.seek(0)
    loaded_table, state_dict = torch.load(file, weights_only=False)
    loaded = optimizer_class([loaded_table])
    loaded.load_state_dict(state_dict)
    train(loaded, loaded_table, range(5, 10))

    assert torch.equal(loaded_table, table)
    for name, value in optimizer.state[table].items():
        assert loaded.state[loaded_table][name].dtype == value.dtype
        assert torch.equal(loaded.state[loaded_table][name], value)


@pytest.mark.parametrize("optimizer_class", [*TABLE_OPTIMIZERS, FTRL])
def test_a_closure_computes_the_gradient_and_its_loss_is_returned(optimizer_class):
    weights = make_table(4, 2)
    before = weights.detach().clone()
    optimizer = optimizer_class([weights])

    def closure():
        optimizer.zero_grad()
        loss = (weights**2).sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == (before**2).sum().item()
    assert (weights != before).all()


@pytest.mark.parametrize("optimizer_class", [*TABLE_OPTIMIZERS, FTRL])
def test_parameters_without_gradient_and_groups_are_respected(optimizer_class):
    idle, slow, fast = (make_table(4, 2) for _ in range(3))
    optimizer = optimizer_class([{"params": [idle, slow], "lr": 1e-6}, {"params": [fast]}], lr=0.1)
    before = idle.detach().clone()
    slow.grad, fast.grad = torch.ones_like(slow), torch.ones_like(fast)
    assert optimizer.step() is None
    assert torch.equal(idle, before)
    assert idle not in optimizer.state
    assert ((slow - before).abs() < 1e-4).all()
    assert ((fast - before).abs() > 1e-2).all()


@pytest.mark.parametrize("optimizer_class", TABLE_OPTIMIZERS)
def test_an_empty_batch_changes_nothing(optimizer_class):
    table = make_table(4, 2)
    before = table.detach().clone()
    no_codes = torch.zeros((0, 3), dtype=torch.int64)
    functional.embedding(no_codes, table, sparse=True).sum().backward()
    optimizer_class([table]).step()
    assert torch.equal(table, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("optimizer_class", TABLE_OPTIMIZERS)
def test_a_state_saved_on_the_cpu_trains_on_to_the_same_numbers_on_a_gpu(optimizer_class):
    table = make_table(20, 3)
    optimizer = optimizer_class([table])
    train(optimizer, table, range(3))
    moved_table = torch.nn.Parameter(table.detach().cuda())
    moved = optimizer_class([moved_table])
    moved.load_state_dict(optimizer.state_dict())
    train(optimizer, table, range(3, 6))
    train(moved, moved_table, range(3, 6))
    torch.testing.assert_close(moved_table.cpu(), table, rtol=0, atol=1e-12)
