"""Layers of an MLP on some rows at a time, within compiled functions.

Activations lie on their side, (n, R): unit by unit, so that weights are used as they are. Only the
gradients of weights need them row by row as well. What layers hold lies behind one another in one
flat array, so that one compilation serves any number of them. ``widths`` are the numbers of inputs
of all layers; the last layer has one output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparsectr.kernels.arrays import as_array
from sparsectr.kernels.cpu.machine.blocks import clear
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.machine.losses import weighted_loss
from sparsectr.kernels.cpu.machine.matrix import (
    TILE_ROWS,
    fill_columns,
    gemm,
    gemm_add,
    gemm_transposed,
)
from sparsectr.kernels.cpu.machine.segments import (
    axpy,
    dot,
    fill_segment,
    scale_segment,
    sum_segment,
)

# Rows that go through the layers together, a multiple of whole tiles.
BLOCK_ROWS = 128
# Side of the squares in which activations are turned.
SQUARE = 16

# Between torch and the kernels ----------------------------------------------------------------


def pack(layers: Sequence[tuple[Tensor, Tensor]]) -> tuple[Any, Any]:
    """Return the weights of all layers but the last, and all vectors, both flat.

    Vectors are the biases of these layers, the weights of the last, and its bias.
    """
    *hidden, (readout, bias) = layers
    weights = [as_array(weight).ravel() for weight, _ in hidden]
    vectors = [*(as_array(b) for _, b in hidden), as_array(readout)[0], as_array(bias)]
    return np.concatenate([np.empty(0, np.float32), *weights]), np.concatenate(vectors)


def unpack(
    weights: Any, vectors: Any, layers: Sequence[tuple[Tensor, Tensor]], widths: Any
) -> list[Tensor]:
    """Return gradients in the shapes of the layers: weight, bias, weight, ...

    Those of weights lie behind one another in matrices of filled width, those of vectors as by
    `pack`.
    """
    parameters = []
    for layer, (weight, bias) in enumerate(layers[:-1]):
        start, stop = (start_of_gradient(widths, k) for k in (layer, layer + 1))
        place, n_inputs = start_of_vector(widths, layer), weight.shape[1]
        parameters.append(weights[start:stop].reshape(len(bias), -1)[:, :n_inputs])
        parameters.append(vectors[place : place + len(bias)])
    place = start_of_vector(widths, len(widths) - 1)
    parameters += [vectors[None, place:-1], vectors[-1:]]
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in parameters]


# Where things lie -----------------------------------------------------------------------------


@compiled
def start_of_vector(widths: Any, layer: int) -> int:
    """Return where the biases of a layer begin; there, the last layer has its weights."""
    return widths[1 : layer + 1].sum()


@compiled
def start_of_gradient(widths: Any, layer: int) -> int:
    """Return where the gradient of the weights of a layer begins."""
    start = 0
    for k in range(layer):
        start += widths[k + 1] * fill_columns(widths[k])
    return start


@compiled
def start_of_activations(widths: Any, layer: int) -> int:
    """Return where a block holds the inputs of a layer; behind those of all, how many they are."""
    start = 0
    for k in range(layer):
        start += BLOCK_ROWS * fill_columns(widths[k])
    return start


@compiled
def open_columns(scratch: Any, widths: Any, layer: int, n_rows: int) -> Any:
    """Return the inputs (n, R) of a layer, on their side, for some rows filled up to tiles."""
    start, n_columns = start_of_activations(widths, layer), fill_columns(n_rows)
    return scratch[start : start + widths[layer] * n_columns].reshape(widths[layer], n_columns)


@compiled
def open_rows(scratch: Any, widths: Any, layer: int, n_rows: int) -> Any:
    """Return the inputs of a layer row by row, (R, n), both filled up to whole tiles."""
    start, n_filled, width = (
        start_of_activations(widths, layer),
        fill_columns(n_rows),
        fill_columns(widths[layer]),
    )
    return scratch[start : start + n_filled * width].reshape(n_filled, width)


@compiled
def _open_weights(weights: Any, widths: Any, layer: int) -> Any:
    start = 0
    for k in range(layer):
        start += widths[k + 1] * widths[k]
    n, m = widths[layer], widths[layer + 1]
    return weights[start : start + m * n].reshape(m, n)


# Products of any number of rows ---------------------------------------------------------------


@compiled
def _set_any_product(weight: Any, x: Any, y: Any) -> None:
    """Store weight @ x as y, whatever the number of rows of y."""
    whole = len(y) - len(y) % TILE_ROWS
    gemm(weight[:whole], x, y[:whole])
    clear(y[whole:])
    _add_last_rows(weight, x, y, whole)


@compiled
def _set_any_transposed_product(weight: Any, x: Any, y: Any) -> None:
    """Store weight.T @ x as y, whatever the number of rows of y."""
    whole = len(y) - len(y) % TILE_ROWS
    gemm_transposed(weight, x, y[:whole])
    clear(y[whole:])
    _add_last_rows(weight.T, x, y, whole)


@compiled
def _add_any_product(weight: Any, x: Any, y: Any) -> None:
    """Add weight @ x to y, whatever the number of rows of y."""
    whole = len(y) - len(y) % TILE_ROWS
    gemm_add(weight[:whole], x, y[:whole])
    _add_last_rows(weight, x, y, whole)


@compiled
def _add_last_rows(weight: Any, x: Any, y: Any, first: int) -> None:
    """Add weight @ x to y in the rows from ``first`` on."""
    flat, target, n = x.ravel(), y.ravel(), y.shape[1]
    for i in range(first, len(y)):
        for k in range(len(x)):
            axpy(flat, k * n, weight[i, k], target, i * n, n)


@compiled
def turn(x: Any, result: Any, first: int, stop: int, n_columns: int) -> None:
    """Store the rows of x from ``first`` to ``stop`` as columns of result."""
    for square_row in range(first, stop, SQUARE):
        for square_column in range(0, n_columns, SQUARE):
            for j in range(square_column, min(n_columns, square_column + SQUARE)):
                for i in range(square_row, min(stop, square_row + SQUARE)):
                    result[j, i] = x[i, j]


# Up and down the layers -----------------------------------------------------------------------


@compiled
def go_up(columns: Any, widths: Any, weights: Any, vectors: Any, n_rows: int) -> None:
    """Compute the inputs of all layers from those of the first."""
    for layer in range(len(widths) - 1):
        x = open_columns(columns, widths, layer, n_rows)
        result = open_columns(columns, widths, layer + 1, n_rows)
        _set_any_product(_open_weights(weights, widths, layer), x, result)
        place = start_of_vector(widths, layer)
        for i in range(result.shape[0]):
            bias = vectors[place + i]
            for c in range(result.shape[1]):
                result[i, c] = max(result[i, c] + bias, np.float32(0))


@compiled
def descend_outputs(
    last: Any,
    vectors: Any,
    kind: int,
    targets: Any,
    row_weights: Any,
    first: int,
    n_rows: int,
    n_batch_rows: int,
    of_last: Any,
    of_vectors: Any,
) -> float:
    """Return what some rows add to the loss, given the inputs (n, R) of the last layer.

    Stored are the gradients by these inputs, and added is that of the last layer.
    """
    width, n_columns = last.shape
    flat, target, place = last.ravel(), of_last.ravel(), len(vectors) - 1 - width
    logits, slopes = np.empty((2, n_columns), np.float32)
    fill_segment(logits, 0, vectors[place + width], n_columns)
    for i in range(width):
        axpy(flat, i * n_columns, vectors[place + i], logits, 0, n_columns)
    total = 0.0
    for r in range(n_rows):
        b = first + r
        loss, slopes[r] = weighted_loss(kind, logits[r], targets[b], row_weights[b], n_batch_rows)
        total += loss
    # Of missing rows nothing is wanted.
    fill_segment(slopes, n_rows, np.float32(0), n_columns - n_rows)
    for i in range(width):
        of_vectors[place + i] += dot(flat, i * n_columns, slopes, 0, n_columns)
        scale_segment(slopes, 0, vectors[place + i], target, i * n_columns, n_columns)
    of_vectors[place + width] += sum_segment(slopes, 0, n_columns)
    return total


@compiled
def go_down(
    columns: Any,
    rows: Any,
    of_columns: Any,
    widths: Any,
    weights: Any,
    n_rows: int,
    of_weights: Any,
    of_vectors: Any,
) -> None:
    """Propagate the gradient from the inputs of the last layer back to those of the first.

    Gradients of the layers are added to ``of_vectors`` and, unless it is empty, to ``of_weights``.
    ``rows`` holds the inputs of the first layer row by row; it gets those of the others.
    """
    for layer in range(len(widths) - 2, -1, -1):
        result = open_columns(columns, widths, layer + 1, n_rows)
        of_result = open_columns(of_columns, widths, layer + 1, n_rows)
        flat, place = of_result.ravel(), start_of_vector(widths, layer)
        m, n_columns = of_result.shape
        for i in range(m):
            for c in range(n_columns):
                of_result[i, c] = of_result[i, c] if result[i, c] > 0 else np.float32(0)
            of_vectors[place + i] += sum_segment(flat, i * n_columns, n_columns)
        if of_weights.size > 0:
            x = open_rows(rows, widths, layer, n_rows)
            if layer > 0:
                lying = open_columns(columns, widths, layer, n_rows)
                turn(lying, x, 0, len(lying), n_columns)
            start = start_of_gradient(widths, layer)
            numbers = of_weights[start : start + m * x.shape[1]]
            _add_any_product(of_result, x, numbers.reshape(m, x.shape[1]))
        of_x = open_columns(of_columns, widths, layer, n_rows)
        _set_any_transposed_product(_open_weights(weights, widths, layer), of_result, of_x)
