"""What the values of a cross do to the logits together, through a whole net.

Behind an MLP, a cross is not what one input adds: hidden units learn crosses as well, from
the embeddings, and often the larger part of them. The whole net is asked instead. With F_T the
logits of a row whose fields T are unknown, the effect of the fields S together, beyond what fewer
of them do, is

    sum over T within S of (-1)^|T| F_T

and zero for all rows if, and only if, the logits are a sum of functions of which none sees all of
S. For a pair: F - F_f - F_g + F_fg.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import torch
from torch import Tensor

from sparsectr.nn.cross_products import Cross
from sparsectr.nn.mlp import MLP

# Rows times pairs that go through the layers after the first at once.
ROWS_AT_ONCE = 4096


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
    """Compute what pairs of fields do together through an MLP over fields and pairs.

    An input is a number of the embedding of one field, or a cross of two. Where one field is
    unknown, its embedding and its crosses change, F - 1 of all P: the first layer's output changes
    by a product with these columns of its weight. With two fields unknown both changes add up, but
    for the one input that sees both fields. So a pair costs no more than the layers after the
    first, and of every field an output of the first layer is kept, not its inputs.

    Parameters
    ----------
    mlp : MLP
        In evaluation mode. Its inputs are the embeddings of all fields and then the crosses.
    embed : callable
        Takes codes (B, F), returns embeddings (B, F, D).
    cross : callable
        Takes two matrices of codes (B, F), returns the inputs that hold crosses (B, P'), the first
        field of each with its code in the one matrix and the second with that in the other.
    pairs : sequence of tuples of int
        The fields of these P' crosses, rising.
    codes : Tensor of shape (B, F)
        Rows.
    """

    def __init__(
        self,
        mlp: MLP,
        embed: Callable[[Tensor], Tensor],
        cross: Callable[[Tensor, Tensor], Tensor],
        pairs: Sequence[Cross],
        codes: Tensor,
    ) -> None:
        unknown = torch.zeros_like(codes)
        embeddings = embed(codes)
        whole, no_left, no_right = cross(codes, codes), cross(unknown, codes), cross(codes, unknown)
        n_embedded = embeddings.shape[1] * embeddings.shape[2]
        self.mlp = mlp
        self.weight = mlp.first.weight[:, n_embedded:]
        self.known = mlp.first(torch.cat([embeddings.flatten(1), whole], 1))  # (B, H)
        self.together = whole - no_left - no_right + cross(unknown[:1], unknown[:1])
        # What a field does to the first layer's output when it becomes unknown, (F, B, H).
        weights = mlp.first.weight[:, :n_embedded].unflatten(1, embeddings.shape[1:])  # (H, F, D)
        self.changes = (embed(unknown[:1]) - embeddings).transpose(0, 1) @ weights.permute(1, 2, 0)
        no_left -= whole
        no_right -= whole
        ends = torch.tensor(pairs, dtype=torch.int64, device=codes.device).reshape(-1, 2)
        for changed, fields in ((no_left, ends[:, 0]), (no_right, ends[:, 1])):
            order = fields.argsort(stable=True)
            counts = torch.bincount(fields, minlength=len(self.changes)).tolist()
            for field, columns in enumerate(order.split(counts)):
                self.changes[field] += changed[:, columns] @ self.weight[:, columns].T
        self.columns = {pair: column for column, pair in enumerate(pairs)}

    def effects(self, pairs: Sequence[Cross]) -> Tensor:
        """Return what the fields of Q pairs do to the logits together, (Q, B, K)."""
        known = self.mlp.after_first(self.known)
        if not pairs:
            return known.new_zeros(0, *known.shape)
        without = torch.stack([self.mlp.after_first(self.known + c) for c in self.changes])
        ends = torch.tensor(pairs, dtype=torch.int64, device=known.device)
        columns = torch.tensor(
            [self.columns.get(pair, -1) for pair in pairs], dtype=torch.int64, device=known.device
        )
        parts = []
        n_at_once = max(1, ROWS_AT_ONCE // len(known))
        for some, places in zip(ends.split(n_at_once), columns.split(n_at_once), strict=True):
            left, right = some.unbind(1)
            output = self.known + self.changes[left] + self.changes[right]  # (Q', B, H)
            crossed = (places >= 0).nonzero()[:, 0]
            places = places[crossed]
            output[crossed] += self.together.T[places, :, None] * self.weight.T[places, None, :]
            neither = self.mlp.after_first(output)
            parts.append(known - without[left] - without[right] + neither)
        return torch.cat(parts)
