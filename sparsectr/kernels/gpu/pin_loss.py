"""The loss of a polynomial interaction network and its gradients on a GPU.

As `sparsectr.kernels.cpu.dynint.pin_loss`, in steps: look the embeddings up; multiply them by the
weights of all layers at once; go up the layers to the loss and down again; multiply the gradients
of the products by embeddings and by weights. The products of matrices are those of the library of
the GPU, with the precision that torch is set to.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from sparsectr.kernels.gpu.launch import MOST_WARPS, count_programs
from sparsectr.kernels.gpu.log_loss import LOSSES, losses_of
from sparsectr.kernels.nets import Batch, PolynomialNet
from sparsectr.kernels.one_pass import one_pass_loss
from sparsectr.kernels.rows import lookup_gradient

# Numbers in a tile, the embeddings of a few rows; larger ones do not fit into registers.
TILE_NUMBERS, MOST_NUMBERS = 2048, 8192
# Programs per multiprocessor; each sums the gradients of the readout over its tiles.
PROGRAMS = 4


def polynomial_loss(net: PolynomialNet, batch: Batch) -> Tensor:
    """Compute the mean loss of a batch and all gradients.

    NotImplemented for several subspaces, for long embeddings of many fields, without layers and for
    losses not built here.

    Parameters
    ----------
    net : PolynomialNet
        Of variant "pin", with one logit.
    batch : Batch
        B rows.

    Returns
    -------
    Tensor of shape ()
    """
    codes, targets, row_weights = batch.codes, batch.targets, batch.weights
    offsets, table = net.embedding.offsets, net.embedding.weight
    weights = [weight for (weight,) in net.layer_weights()]
    readout, bias = net.output.weight, net.output.bias
    (n_rows, n_fields), dim, n_layers = codes.shape, table.shape[1], len(weights)
    padded_fields, padded_dim = triton.next_power_of_2(n_fields), triton.next_power_of_2(dim)
    numbers = padded_fields * padded_dim
    built = batch.loss.name in LOSSES and n_layers > 0
    if not built or net.n_subspaces > 1 or numbers > MOST_NUMBERS or n_rows == 0:
        return NotImplemented
    tile_rows = max(1, TILE_NUMBERS // numbers)
    n_tiles = triton.cdiv(n_rows, tile_rows)
    shape = {
        "n_fields": n_fields,
        "padded_fields": padded_fields,
        "dim": dim,
        "padded_dim": padded_dim,
        "tile_rows": tile_rows,
    }
    lookups = torch.empty(codes.shape, dtype=torch.int64, device=codes.device)
    x0 = table.new_empty(n_rows * dim, n_fields)
    _look_up[(n_tiles,)](
        codes.contiguous(), offsets, table, lookups, x0, n_rows, **shape, num_warps=MOST_WARPS
    )
    stacked = torch.cat(weights)  # (L F, F)
    products = x0 @ stacked.T
    n_programs = count_programs(n_tiles, PROGRAMS, codes.device)
    of_x0 = torch.empty_like(x0)
    of_readout = table.new_empty(n_programs, padded_fields + 2)
    _descend[(n_programs,)](
        x0,
        products,
        targets,
        row_weights,
        readout,
        bias,
        of_x0,
        of_readout,
        n_rows,
        n_tiles,
        n_programs,
        **shape,
        n_layers=n_layers,
        loss=batch.loss.name,
        num_warps=MOST_WARPS,
    )
    of_products = products  # in their place
    of_weights = of_products.T @ x0
    of_x0.addmm_(of_products, stacked)
    of_lookups = of_x0.view(n_rows, dim, n_fields).transpose(1, 2).contiguous()
    summed = of_readout.sum(0)
    gradients = [
        lookup_gradient(lookups, of_lookups, table.shape),
        summed[None, :n_fields],
        summed[padded_fields : padded_fields + 1],
        *of_weights.view(n_layers, n_fields, n_fields),
    ]
    return one_pass_loss(summed[padded_fields + 1], (table, readout, bias, *weights), gradients)


# Batches have sizes of their own; no version of a kernel is compiled for one.
@triton.jit(do_not_specialize=["n_rows"])
def _look_up(
    codes,
    offsets,
    table,
    lookups,
    x0,
    n_rows,
    n_fields: tl.constexpr,
    padded_fields: tl.constexpr,
    dim: tl.constexpr,
    padded_dim: tl.constexpr,
    tile_rows: tl.constexpr,
):
    """Look embeddings up and turn them on their side: (B, D, F)."""
    fields = tl.arange(0, padded_fields)
    numbers = tl.program_id(0).to(tl.int64) * tile_rows + tl.arange(0, tile_rows)
    coordinates = tl.arange(0, padded_dim)
    real = (numbers < n_rows)[:, None] & (fields < n_fields)[None, :]
    places = numbers[:, None] * n_fields + fields[None, :]
    first_rows = tl.load(offsets + fields, mask=fields < n_fields, other=0)
    rows = (tl.load(codes + places, mask=real, other=0) + first_rows[None, :]).to(tl.int64)
    tl.store(lookups + places, rows, mask=real)
    cube = real[:, None, :] & (coordinates < dim)[None, :, None]
    embeddings = tl.load(table + rows[:, None, :] * dim + coordinates[None, :, None], mask=cube)
    lines = numbers[:, None] * dim + coordinates[None, :]
    tl.store(x0 + lines[:, :, None] * n_fields + fields[None, None, :], embeddings, mask=cube)


@triton.jit(do_not_specialize=["n_rows", "n_tiles", "n_programs"])
def _descend(
    x0,
    products,
    targets,
    row_weights,
    readout,
    bias,
    of_x,
    of_readout,
    n_rows,
    n_tiles,
    n_programs,
    n_fields: tl.constexpr,
    padded_fields: tl.constexpr,
    dim: tl.constexpr,
    padded_dim: tl.constexpr,
    tile_rows: tl.constexpr,
    n_layers: tl.constexpr,
    loss: tl.constexpr,
):
    """Put the gradients of the products in their place, and those of x along the layers to of_x."""
    fields = tl.arange(0, padded_fields)
    coordinates = tl.arange(0, padded_dim)
    slope = tl.load(readout + fields, mask=fields < n_fields, other=0.0)
    intercept = tl.load(bias)
    of_slope = tl.zeros((padded_fields,), tl.float32)
    of_intercept = tl.zeros((), tl.float32)
    total = tl.zeros((), tl.float32)
    tile = tl.program_id(0)
    while tile < n_tiles:
        numbers = tile.to(tl.int64) * tile_rows + tl.arange(0, tile_rows)
        inside = numbers < n_rows
        lines = numbers[:, None] * dim + coordinates[None, :]
        real = (inside[:, None] & (coordinates < dim)[None, :])[:, :, None]
        real = real & (fields < n_fields)[None, None, :]
        places = lines[:, :, None] * n_fields + fields[None, None, :]
        # Those of a line stand side by side, layer by layer.
        layers = products + lines[:, :, None] * (n_layers * n_fields) + fields[None, None, :]
        start = tl.load(x0 + places, mask=real, other=0.0)
        x = start
        factors = ()
        for layer in tl.static_range(n_layers):
            factor = 1 + tl.load(layers + layer * n_fields, mask=real, other=0.0)
            factors = factors + (factor,)  # noqa: RUF005 - Triton knows no stars
            x = x * factor
        sums = tl.sum(x, 1)
        logits = tl.sum(sums * slope[None, :], 1) + intercept
        target = tl.load(targets + numbers, mask=inside, other=0.0)
        share = tl.load(row_weights + numbers, mask=inside, other=0.0) / n_rows
        losses, slopes = losses_of(logits, target, loss)
        total += tl.sum(losses * share, 0)
        of_logits = slopes * share
        of_intercept += tl.sum(of_logits, 0)
        of_slope += tl.sum(of_logits[:, None] * sums, 0)
        step = (of_logits[:, None] * slope[None, :])[:, None, :]
        for back in tl.static_range(n_layers):
            # What the layer multiplies, once more: it would be one more tile to hold.
            before = start
            for layer in tl.static_range(n_layers - 1 - back):
                before = before * factors[layer]
            tl.store(layers + (n_layers - 1 - back) * n_fields, step * before, mask=real)
            step = step * factors[n_layers - 1 - back]
        tl.store(of_x + places, step, mask=real)
        tile += n_programs
    own = of_readout + tl.program_id(0) * (padded_fields + 2)
    tl.store(own + fields, of_slope)
    tl.store(own + padded_fields, of_intercept)
    tl.store(own + padded_fields + 1, total)
