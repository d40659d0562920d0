"""The log loss of a polynomial net with gates, and its gradients, in one pass from codes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.dynint.gated import (
    ACTIVATION,
    GENERATED,
    KINDS,
    PART_ROWS,
    VECTORS,
    compute_factor,
    count_group_rows,
    find_rank,
    open_gates,
    pack_layers,
)
from sparsectr.kernels.cpu.dynint.gates import compute_gates, gates_backward, gather, pack_networks
from sparsectr.kernels.cpu.dynint.instances import (
    instance_backward,
    load_instances,
    make_instance_scratch,
)
from sparsectr.kernels.cpu.dynint.layers import generated_backward, scaled_backward
from sparsectr.kernels.cpu.dynint.penalty import penalise
from sparsectr.kernels.cpu.dynint.pin import count_block_rows, descend_sums, split_readout
from sparsectr.kernels.cpu.machine.blocks import (
    add,
    clear,
    grow,
    look_up,
    n_columns,
    spread,
    step_back,
    store_lookups,
    store_rows,
    sum_fields,
)
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.losses import LOSSES
from sparsectr.kernels.cpu.machine.matrix import add_up
from sparsectr.kernels.cpu.machine.segments import zeros_aligned
from sparsectr.kernels.cpu.machine.vectors import SHORT_WIDTH
from sparsectr.kernels.memory import empty
from sparsectr.kernels.nets import Batch, PolynomialNet
from sparsectr.kernels.one_pass import one_pass_loss
from sparsectr.kernels.rows import empty_rows, lookup_gradient
from sparsectr.kernels.threads import run_parts


def gated_loss(net: PolynomialNet, batch: Batch, penalty: float) -> Tensor:
    """Compute the mean loss of a batch, a penalty, and all gradients in one pass.

    Parameters
    ----------
    net : PolynomialNet
        With gates and one logit.
    batch : Batch
        B rows.
    penalty : float
        Weight of the penalty of instances beside the mean loss; 0 for layers without one.

    Returns
    -------
    Tensor of shape ()
    """
    loss_kind = LOSSES.get(batch.loss.name)
    if loss_kind is None:
        return NotImplemented
    codes, targets, row_weights = batch.codes, batch.targets, batch.weights
    offsets, table = net.embedding.offsets, net.embedding.weight
    readout, bias = net.output.weight, net.output.bias
    variant, n_subspaces = net.variant, net.n_subspaces
    layers, networks = net.layer_weights(), net.gate_weights()
    kind, n_layers, n_factors = KINDS[variant], len(layers), len(layers[0])
    packed_layers, packed = pack_layers(kind, layers), pack_networks(networks)
    rank = find_rank(kind, networks[0][2].shape[0], codes.shape[1] * n_subspaces)
    n_parts, (n_rows, n_fields), dim = -(-len(codes) // PART_ROWS), codes.shape, table.shape[1]
    losses = np.zeros(n_parts)
    rows, of_lookups = empty_rows(n_fields, n_rows), empty(n_fields, n_rows, dim)
    of_factors = [np.zeros((n_parts, *f.shape), np.float32) for f in packed_layers[:2]]
    n_hidden, n_inputs = packed[1].shape[1], packed[0].shape[1]
    of_networks = [
        np.zeros((n_parts, *shape), np.float32)
        for shape in (
            (n_layers, n_hidden, n_inputs),
            packed[1].shape,
            packed[3].shape,
            packed[4].shape,
        )
    ]
    of_readout = np.zeros((n_parts, n_fields + 1), np.float32)
    run_parts(
        _loss_part,
        n_parts,
        (*(as_array(t) for t in (codes, targets, row_weights)), loss_kind),
        (as_array(offsets), as_array(table)),
        (kind, rank, n_subspaces, penalty / n_rows),
        packed_layers,
        packed,
        (as_array(readout), as_array(bias)),
        losses,
        (rows.numpy(), of_lookups.numpy()),
        (*of_factors, of_readout),
        tuple(of_networks),
    )
    flat = [tensor for layer in (*layers, *networks) for tensor in layer]
    of_flat = _trim([gradient.sum(0) for gradient in (*of_factors[:n_factors], *of_networks)], flat)
    gradients = [
        lookup_gradient(rows, of_lookups, table.shape),
        *split_readout(of_readout),
        *of_flat,
    ]
    return one_pass_loss(losses.sum(), (table, readout, bias, *flat), gradients)


def _trim(gradients: Sequence[Any], parameters: Sequence[Tensor]) -> list[Tensor]:
    """Cut stacked gradients to those of the parameters: first all layers', then all networks'.

    What one layer or network has comes together: factors of the first, four tensors of the second.
    """
    n_layers, n_factors = len(gradients[0]), len(gradients) - 4
    kinds = [k for _ in range(n_layers) for k in range(n_factors)]
    kinds += [n_factors + k for _ in range(n_layers) for k in range(4)]
    seen, trimmed = [0] * len(gradients), []
    for kind, parameter in zip(kinds, parameters, strict=True):
        filled = gradients[kind][seen[kind]]
        seen[kind] += 1
        part = filled[tuple(slice(length) for length in parameter.shape)]
        trimmed.append(torch.from_numpy(np.ascontiguousarray(part)))
    return trimmed


@compiled
def _loss_part(
    part: int,
    rows: Any,
    embedding: Any,
    settings: Any,
    layers: Any,
    networks: Any,
    output: Any,
    losses: Any,
    lookups: Any,
    of_layers: Any,
    of_networks: Any,
) -> None:
    """Compute the loss of the rows of one part, and all gradients."""
    codes, (offsets, table) = rows[0], embedding
    kind, rank, n_subspaces, penalty = settings
    n_layers, n = len(layers[0]), codes.shape[1] * n_subspaces
    sizes = kind, rank, n, table.shape[1] // n_subspaces
    start, stop = part * PART_ROWS, min(len(codes), (part + 1) * PART_ROWS)
    n_group_rows = count_group_rows(stop - start)
    n_hidden, n_gates = networks[2].shape[1:]
    inputs = zeros_aligned((n_group_rows, networks[0].shape[1]))
    panel = zeros_aligned((n_group_rows, networks[0].shape[2]))
    hidden = zeros_aligned((n_layers, n_group_rows, n_hidden))
    values = zeros_aligned((n_layers, n_group_rows, n_gates))
    of_values = zeros_aligned(values.shape)
    of_hidden = zeros_aligned(hidden.shape[1:])
    of_part = of_networks[0][part], of_networks[1][part], of_networks[2][part], of_networks[3][part]
    scratch = _make_scratch(sizes, layers, codes.shape[1], n_group_rows)
    for group in range(start, stop, n_group_rows):
        end = min(stop, group + n_group_rows)
        gather(codes[group:end], offsets, table, inputs)
        compute_gates(inputs, networks, panel, hidden, values)
        open_gates(kind, rank, values)
        losses[part] += _run_layers(
            (rows, group, end),
            embedding,
            sizes,
            layers,
            output,
            (values, of_values),
            scratch,
            (of_layers[0][part], of_layers[2][part]),
            lookups,
        )
        if kind == VECTORS and penalty > 0:
            losses[part] += penalise(rank, n, end - group, penalty, values, of_values)
        _close(kind, end - group, values, of_values)
        gates_backward(inputs, networks, hidden, of_values, of_hidden, of_part)
    for k in range(0 if kind == VECTORS else n_layers):
        add_up(scratch[6][k], of_layers[0][part, k])
        add_up(scratch[7][k], of_layers[1][part, k])


@compiled
def _make_scratch(sizes: Any, layers: Any, n_fields: int, n_group_rows: int) -> Any:
    """Return the memory of the layers: what goes forth, comes back, and is summed."""
    kind, rank, _, dim = sizes
    n_block_rows = min(n_group_rows, count_block_rows(n_group_rows, dim))
    n_layers, height, columns = len(layers[0]), layers[0].shape[1], n_columns(n_block_rows, dim)
    inner_height = layers[0].shape[2] if kind == GENERATED else height
    return (
        zeros_aligned((n_layers + 1, height, columns)),  # X
        zeros_aligned((n_layers, height, columns)),  # A
        zeros_aligned((n_layers, 1, inner_height, columns)),  # terms of A
        zeros_aligned((3, height, columns)),  # gradients of X, X_0 and A
        zeros_aligned((3, inner_height, columns)),
        np.empty((n_block_rows, n_fields), np.float32),  # sums of fields
        zeros_aligned((*layers[0].shape, SHORT_WIDTH)),  # gradients of both factors of W
        zeros_aligned((*layers[1].shape, SHORT_WIDTH)),
        make_instance_scratch(n_block_rows, height, dim, rank if kind == VECTORS else 0),
    )


@compiled
def _run_layers(
    place: Any,
    embedding: Any,
    sizes: Any,
    layers: Any,
    output: Any,
    gates: Any,
    scratch: Any,
    sums: Any,
    lookups: Any,
) -> float:
    """Take a group of rows, whose gates are known, through all layers and back."""
    (codes, targets, row_weights, loss_kind), group, end = place
    x, factors, terms, gradients, spare, of_sums, first_sums, second_sums, instances = scratch
    of_x, of_x0, of_factor = gradients[0], gradients[1], gradients[2]
    dim, n_layers, total = sizes[3], len(factors), 0.0
    for first in range(group, end, len(of_sums)):
        last = min(end, first + len(of_sums))
        here = gates[0][:, first - group : last - group]
        of_here = gates[1][:, first - group : last - group]
        look_up(codes[first:last], embedding[0], embedding[1], dim, x[0])
        if sizes[0] == VECTORS:
            load_instances(x[0], last - first, sizes[2], dim, instances)
        for k in range(n_layers):
            compute_factor(
                sizes, layers, k, x[0], here[k], (terms[k], spare[0], instances), factors[k]
            )
            grow(x[k], factors[k], x[k + 1])
        of_fields = of_sums[: last - first]
        sum_fields(x[n_layers], dim, of_fields)
        total += descend_sums(
            loss_kind,
            of_fields,
            output[0],
            output[1],
            targets[first:last],
            row_weights[first:last],
            len(codes),
            sums[1],
        )
        spread(of_fields, dim, of_x)
        clear(of_x0)
        for k in range(n_layers - 1, -1, -1):
            step_back(x[k], factors[k], of_x, of_factor)
            state = x[0], here[k], terms[k], instances
            of_factors = first_sums[k], second_sums[k], sums[0][k]
            _factor_backward(
                sizes, layers, k, state, of_factor, spare, of_factors, of_x0, of_here[k]
            )
        add(of_x, of_x0)
        store_rows(codes[first:last], embedding[0], first, lookups[0])
        store_lookups(of_x0, dim, first, last - first, lookups[1])
    return total


@compiled
def _factor_backward(
    sizes: Any,
    layers: Any,
    k: int,
    state: Any,
    of_factor: Any,
    spare: Any,
    of_factors: Any,
    of_x0: Any,
    of_values: Any,
) -> None:
    """Compute the gradients of all that A of layer k depends on from that of A."""
    kind, rank, n, dim = sizes
    x0, values, terms, instances = state
    weight, of_weight = layers[0][k], of_factors[0]
    if kind == GENERATED:
        inputs = layers[2][k], layers[1][k], x0, values, terms[0], of_factor
        scratch = spare[0], spare[1], spare[2]
        generated_backward(inputs, scratch, rank, dim, of_weight, of_factors[1], of_x0, of_values)
    elif kind == VECTORS:
        split = rank * n
        instance_backward(
            (weight, values[:, :split], values[:, split:], of_factor),
            n,
            dim,
            instances,
            of_factors[2],
            of_x0,
            of_values[:, :split],
            of_values[:, split:],
        )
    else:
        forward = values, terms, x0, layers[2][k], of_factor
        scaled_backward(forward, spare[0], n, dim, of_weight, of_x0, of_values)


@compiled
def _close(kind: int, n_rows: int, values: Any, of_values: Any) -> None:
    """Turn the gradients by u, v or s into those by the outputs of the networks, in place."""
    for k in range(values.shape[0]):
        for r in range(n_rows, values.shape[1]):  # the last rows of a batch fill no group
            for i in range(values.shape[2]):
                of_values[k, r, i] = 0
        if kind == ACTIVATION:  # u = 2 sigmoid, u' = u (1 - u / 2)
            for r in range(n_rows):
                for i in range(values.shape[2]):
                    of_values[k, r, i] *= values[k, r, i] * (
                        np.float32(1) - values[k, r, i] / np.float32(2)
                    )
