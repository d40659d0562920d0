"""The multilayer perceptron (MLP) on top of embeddings and crosses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sparsectr.nn.graph import Graph, affine
from sparsectr.nn.linear import UndrawnLinear

# In the backward pass, products with rows that do not begin at multiples of so many numbers take up
# to half as long again on some processors. From so many inputs and rows on it pays to fill them up,
# and the weights with them, in every step.
ALIGNED = 16
WIDE = 256
MANY_ROWS = 1024


class Dropout(nn.Module):
    """Set a random share of the inputs to zero in training, and scale up the others.

    `torch.nn.Dropout` draws from torch's global random state; this one from a generator.

    Parameters
    ----------
    rate : float
        Share of the inputs that are dropped, in [0, 1).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Return x (...), of any shape, in evaluation mode as it is."""
        if not self.training or self.rate == 0:
            return x
        if self.generator is None:
            raise ValueError("dropout needs a generator in training, call seed_dropout first.")
        kept = torch.empty_like(x).bernoulli_(1 - self.rate, generator=self.generator)
        return x * kept.div_(1 - self.rate)


class MLP(nn.Module):
    """Map inputs to outputs through hidden layers: Linear, ReLU, dropout; a last Linear.

    Parameters
    ----------
    n_inputs : int
        Length of an input.
    hidden_units : sequence of int
        Width of every hidden layer. Empty: one linear layer.
    n_outputs : int
        Number of outputs.
    dropout : float, default=0.0
        Share of the hidden units that are dropped in training, in [0, 1).

    Notes
    -----
    Shapes: (..., n_inputs) to (..., n_outputs).
    """

    def __init__(
        self, n_inputs: int, hidden_units: Sequence[int], n_outputs: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        widths = [n_inputs, *hidden_units, n_outputs]
        self.layers = nn.ModuleList(UndrawnLinear(n_in, n_out) for n_in, n_out in pairwise(widths))
        self.dropout = Dropout(dropout)

    @property
    def first(self) -> nn.Linear:
        """The layer that sees the inputs."""
        return cast(nn.Linear, self.layers[0])

    @property
    def last(self) -> nn.Linear:
        """The layer that gives the outputs."""
        return cast(nn.Linear, self.layers[-1])

    @torch.no_grad()
    def reset_parameters(
        self, generator: torch.Generator, output_bias: Tensor | float = 0.0
    ) -> None:
        """Draw the weights (He-uniform, the last layer Glorot-uniform) and seed the dropout.

        Parameters
        ----------
        generator : torch.Generator
            Source of the weights, and from now on of the dropout.
        output_bias : Tensor of shape (n_outputs,) or float, default=0.0
            Bias of the last layer, such as the log-odds of the classes; the others are 0.
        """
        *hidden, last = self.linear_layers()
        for layer in hidden:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=generator)
            layer.bias.zero_()
        nn.init.xavier_uniform_(last.weight, generator=generator)
        last.bias[:] = output_bias
        self.seed_dropout(generator)

    def seed_dropout(self, generator: torch.Generator) -> None:
        """Draw the dropout of all further training from a generator."""
        self.dropout.generator = generator

    def n_fill(self, n_rows: int) -> int:
        """Return how many zeros behind the inputs make training on so many rows faster."""
        n_inputs = self.first.in_features
        worth_it = self.training and n_inputs >= WIDE and n_rows >= MANY_ROWS
        return -n_inputs % ALIGNED if worth_it else 0

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (..., n_outputs) of inputs (..., n_inputs), with or without the fill."""
        n_fill = x.shape[-1] - self.first.in_features
        if not n_fill:
            return self.after_first(self.first(x))
        weight = functional.pad(self.first.weight, (0, n_fill))
        return self.after_first(functional.linear(x, weight, self.first.bias))

    def after_first(self, x: Tensor) -> Tensor:
        """Return the outputs (..., n_outputs), given those of the first layer, x (..., n_units).

        Inputs that change in one place change the first layer's output by one column of its
        weight: many such changes need only the rest of the network.
        """
        for layer in self.layers[1:]:
            # In training the result of the layer before is not used again.
            x = layer(self.dropout(functional.relu(x, inplace=self.training)))
        return x

    def write(self, graph: Graph, x: str) -> str:
        """Add the network to a graph: inputs (B, n_inputs) to outputs (B, n_outputs)."""
        first, *others = self.linear_layers()
        x = affine(graph, x, first.weight, first.bias)
        for layer in others:
            x = affine(graph, graph.add("Relu", x), layer.weight, layer.bias)
        return x

    @torch.no_grad()
    def without_inputs(self, kept: Tensor) -> MLP:
        """Return an MLP with the inputs at positions kept (m,) only: the others at zero, for good.

        It shares all layers with this one but the first.
        """
        mlp = MLP(len(kept), (), self.first.out_features).to(self.first.weight)
        mlp.first.weight.copy_(self.first.weight[:, kept])
        mlp.first.bias.copy_(self.first.bias)
        mlp.layers.extend(self.layers[1:])
        mlp.dropout = self.dropout
        return mlp

    def linear_layers(self) -> Iterator[nn.Linear]:
        """Yield all layers."""
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                yield layer
