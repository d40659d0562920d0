"""What the values of a cross do to the logits together, through a whole net.

Behind a perceptron, a cross is not what one input adds: hidden units learn crosses as well, from
the embeddings, and often the larger part of them. The whole net is asked instead. With F_T the
logits of a row whose fields T are unknown, the effect of the fields S together, beyond what fewer
of them do, is

    sum over T within S of (-1)^|T| F_T

and zero for all rows if, and only if, the logits are a sum of functions of which none sees all of
S. For a pair: F - F_f - F_g + F_fg.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor

from sparsectr.nn.cross_products import Cross
from sparsectr.nn.mlp import MLP


def joint_effects(logits_without: Callable[[Cross], Tensor], crosses: Sequence[Cross]) -> Tensor:
    """Compute what the fields of some crosses do to the logits together.

    Parameters
    ----------
    logits_without : callable
        Takes rising field numbers, returns the logits (B, K) of rows with these fields unknown.
        It is called once for every set of fields.
    crosses : sequence of tuples of int
        Rising field numbers of Q crosses.

    Returns
    -------
    Tensor of shape (Q, B, K)
    """
    known: dict[Cross, Tensor] = {(): logits_without(())}
    effects = []
    for cross in crosses:
        effect = known[()]
        for n_unknown in range(1, len(cross) + 1):
            for fields in combinations(cross, n_unknown):
                if fields not in known:
                    known[fields] = logits_without(fields)
                effect = torch.add(effect, known[fields], alpha=(-1) ** n_unknown)
        effects.append(effect)
    return torch.stack(effects) if effects else known[()].new_zeros(0, *known[()].shape)


def hide(codes: Tensor, fields: Cross) -> Tensor:
    """Return codes (B, F) with some fields unknown, code 0."""
    hidden = codes.clone()
    hidden[:, list(fields)] = 0
    return hidden


class PairsBehindMLP:
    """Compute the logits of rows with one or two fields unknown, for a perceptron over pairs.

    An input is the embedding of one field, or a cross of two. So the first layer's output with two
    fields unknown is the sum of what each of them changes, but for the one input that sees both: a
    pair of fields costs no more than the layers after the first.

    Parameters
    ----------
    mlp : MLP
        In evaluation mode.
    inputs_of : callable
        Takes codes (B, F), returns the inputs of the perceptron (B, n_inputs).
    columns : mapping of tuple of int to int
        The input that holds the cross of a pair of fields, for the pairs that have one.
    codes : Tensor of shape (B, F)
        Rows.
    """

    def __init__(
        self,
        mlp: MLP,
        inputs_of: Callable[[Tensor], Tensor],
        columns: Mapping[Cross, int],
        codes: Tensor,
    ) -> None:
        self.mlp, self.inputs_of, self.columns, self.codes = mlp, inputs_of, columns, codes
        self.nothing = inputs_of(torch.zeros_like(codes[:1]))[0]
        self.first_outputs: dict[Cross, Tensor] = {}
        # Of the inputs only the crosses are needed again.
        self.first_cross = min(columns.values(), default=len(self.nothing))
        self.crossed: dict[Cross, Tensor] = {}

    def __call__(self, fields: Cross) -> Tensor:
        """Return the logits (B, K) with at most two fields unknown."""
        if len(fields) < 2:
            return self.mlp.after_first(self._first_output(fields))
        left, right = fields[:1], fields[1:]
        output = self._first_output(left) + self._first_output(right) - self._first_output(())
        if fields in self.columns:
            column = self.columns[fields]
            place = column - self.first_cross
            whole, no_left, no_right = (self.crossed[f][:, place] for f in ((), left, right))
            together = whole - no_left - no_right + self.nothing[column]
            output = torch.addr(output, together, self.mlp.first.weight[:, column])
        return self.mlp.after_first(output)

    def _first_output(self, fields: Cross) -> Tensor:
        """Return the output of the first layer with at most one field unknown."""
        if fields not in self.first_outputs:
            inputs = self.inputs_of(hide(self.codes, fields))
            self.first_outputs[fields] = self.mlp.first(inputs)
            self.crossed[fields] = inputs[:, self.first_cross :]
        return self.first_outputs[fields]
