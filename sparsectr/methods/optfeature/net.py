"""The net of OptFeature: embeddings and gated crosses into an MLP."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, combinations
from math import comb
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sparsectr.kernels.fused import fused
from sparsectr.methods.optfeature.crosses import (
    OuterCrosses,
    inner_crosses,
    take_columns,
    upper_triangle,
    write_inner,
)
from sparsectr.methods.optfeature.effects import PairsBehindMLP
from sparsectr.methods.optfeature.gates import Selection, spread_vectors, start_vectors
from sparsectr.nn.effects import Columns, FieldSet, effects_by_passes
from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.nn.graph import Graph, reshape
from sparsectr.nn.mlp import MLP
from sparsectr.rows.labelled import Batch
from sparsectr.training.prediction import logits_of

# Standard deviation of a fresh embedding, times sqrt(D).
EMBEDDING_SCALE = 0.4


@dataclass(frozen=True)
class OptFeatureConfig:
    """Fix the shape of an `OptFeatureNet`.

    Attributes
    ----------
    granularity : {"field", "value", "hybrid"}
        What a gate depends on.
    combine : {"paper", "raw"}
        How a hybrid gate mixes; see `sparsectr.methods.optfeature.gates.Selection`.
    orders : tuple of int
        Orders of the crosses, from 2 to 4.
    operator : {"inner", "outer"}
        What a cross computes from its embeddings.
    selection_dim : int
        Length of the selection embeddings.
    selection_rank : int
        Rank of the selection tensors.
    hidden_units : tuple of int
        Widths of the hidden layers.
    dropout : float
        Share of the hidden units dropped in training.
    """

    granularity: str = "hybrid"
    combine: str = "paper"
    orders: tuple[int, ...] = (2,)
    operator: str = "inner"
    selection_dim: int = 8
    selection_rank: int = 32
    hidden_units: tuple[int, ...] = (256, 128)
    dropout: float = 0.0


@dataclass(frozen=True)
class ChosenGates:
    """Say which crosses a net still has after the search.

    Attributes
    ----------
    kept : tuple of int
        Positions of the crosses whose gate is open for at least some values.
    by_value : bool
        Whether any of their gates depends on the values of a row.
    """

    kept: tuple[int, ...]
    by_value: bool


class OptFeatureNet(nn.Module):
    """Feed embeddings and gated crosses to an MLP.

        logits = MLP([e_1, ..., e_F, (a_C(x) * v_C)_C]),   v_C = sum_d prod_{f in C} e_f[d]

    with one gate a_C per cross C of `Selection`. With all gates open and order 2 this is IPNN.

    Parameters
    ----------
    vocabulary_sizes : sequence of int
        Number of codes of every field, length F.
    embedding_dim : int
        Length D of an embedding.
    n_outputs : int
        Number K of logits.
    config : OptFeatureConfig
        Everything else about the shape.
    chosen : ChosenGates, optional
        The outcome of the search; None while searching.

    Notes
    -----
    Shapes: codes (B, F) to logits (B, K).

    Source: F. Lyu et al., "Towards Hybrid-grained Feature Interaction Selection for Deep Sparse
    Network", NeurIPS 2023, equations 5 to 12. Differences:

    * crosses and scores come from Gram products of the fields, never from gathered pairs;
    * every order has selection tensors of its own over one selection embedding per value;
    * the gates of fields and those of values have a selection network each;
    * selection starts from orthogonal field vectors, shared by the values of a field and
      varied little, so that a value gate starts as the gate of its field.
    """

    kept: Tensor

    def __init__(
        self,
        vocabulary_sizes: Sequence[int],
        embedding_dim: int,
        n_outputs: int,
        config: OptFeatureConfig,
        chosen: ChosenGates | None = None,
    ) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = {
            "vocabulary_sizes": tuple(vocabulary_sizes),
            "embedding_dim": embedding_dim,
            "n_outputs": n_outputs,
            "config": config,
            "chosen": chosen,
        }
        n_fields = len(vocabulary_sizes)
        selection_dim = 0 if config.granularity == "field" else config.selection_dim
        self.widths = (embedding_dim, selection_dim)
        self.config = config
        self.chosen = chosen
        # One row per value: its embedding, then its selection embedding. One lookup gets both.
        self.embedding = FieldEmbedding(vocabulary_sizes, embedding_dim + selection_dim)
        self.selections = nn.ModuleList(
            Selection(
                n_fields,
                order,
                config.granularity,
                config.combine,
                config.selection_dim,
                config.selection_rank,
            )
            for order in config.orders
        )
        self.outer = OuterCrosses(n_fields, embedding_dim) if config.operator == "outer" else None
        self.n_crosses = sum(comb(n_fields, order) for order in config.orders)
        kept = range(self.n_crosses) if chosen is None else chosen.kept
        places = torch.tensor(kept, dtype=torch.int64, device="cpu")
        self.register_buffer("kept", places, persistent=False)
        # Fields of the crosses that the net has, where it has nothing but inner products of pairs.
        self.pairs: NDArray[np.int64] | None = None
        if config.orders == (2,) and self.outer is None:
            self.pairs = np.array(list(combinations(range(n_fields), 2)), np.int64)[list(kept)]
        self.mlp = MLP(
            n_fields * embedding_dim + len(kept), config.hidden_units, n_outputs, config.dropout
        )

    @property
    def _selections(self) -> list[Selection]:
        return [cast(Selection, selection) for selection in self.selections]

    @torch.no_grad()
    def reset_weights(self, generator: torch.Generator, prior_logits: Tensor | float = 0.0) -> None:
        """Draw the embeddings and the predictor."""
        width = self.widths[0]
        self.embedding.weight[:, :width].normal_(
            0, EMBEDDING_SCALE * width**-0.5, generator=generator
        )
        if self.outer is not None:
            self.outer.reset_parameters(generator)
        self.mlp.reset_parameters(generator, prior_logits)

    @torch.no_grad()
    def reset_selection(self, generator: torch.Generator, field_share: float = 0.5) -> None:
        """Draw the selection embeddings; all gates are open; see `Selection.reset_parameters`."""
        for selection in self._selections:
            selection.reset_parameters(generator, field_share)
        if self.widths[1]:
            centres = start_vectors(len(self.embedding.vocabulary_sizes), self.widths[1], generator)
            rows = self.embedding.weight[:, self.widths[0] :]
            for part, centre in zip(
                rows.split(self.embedding.vocabulary_sizes), centres, strict=True
            ):
                part.copy_(spread_vectors(centre, len(part), generator))

    @property
    def intercept(self) -> Tensor:
        """What is added to the logits of all rows, (K,)."""
        return self.mlp.last.bias

    @property
    def output_weights(self) -> list[Tensor]:
        """Weights in which the logits without the intercept are linear."""
        return [self.mlp.last.weight]

    def forward(self, codes: Tensor) -> Tensor:
        """Return logits (B, K) of codes (B, F)."""
        embeddings, vectors = self.look_up(codes)
        return self.predict(embeddings, self.gates(vectors))

    def look_up(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Return embeddings (B, F, D) and selection embeddings (B, F, d) of codes (B, F)."""
        embeddings, vectors = self.embedding(codes).split(self.widths, -1)
        return embeddings, vectors

    def mlp_layers(self) -> list[tuple[Tensor, Tensor]]:
        """Return weight and bias of every layer of the MLP."""
        return [(layer.weight, layer.bias) for layer in self.mlp.linear_layers()]

    def loss(self, batch: Batch, gates: Tensor | None, *, of_gates: bool = False) -> Tensor:
        """Return the loss of a batch, shape ().

        Parameters
        ----------
        batch : Batch
            B rows.
        gates : Tensor of shape (P') or (B, P'), or None
            What the crosses are multiplied by; ones if None.
        of_gates : bool, default=False
            Whether the gradient is that of gates (B, P') alone.
        """
        return mlp_loss(self, batch, gates, of_gates=of_gates)

    def gates_of(self, codes: Tensor) -> Tensor | None:
        """Return the gates of the net's crosses for codes (B, F); see `gates`."""
        if self.chosen is not None and not self.chosen.by_value:
            return None
        return self.gates(self.look_up(codes)[1])

    def gates(self, vectors: Tensor) -> Tensor | None:
        """Return the gates of the net's crosses, (B, P') or (P',); None if all are open."""
        if self.chosen is None:
            return _join([selection(vectors) for selection in self._selections])
        if not self.chosen.by_value:
            return None
        return take_columns(self.chosen_gates(vectors), self.kept).to(vectors.dtype)

    def chosen_gates(self, vectors: Tensor, others: Tensor | None = None) -> Tensor:
        """Return whether the chosen gates of all crosses are open, bool, (B, P)."""
        return self.chosen_scores(vectors, others) > 0

    def chosen_scores(self, vectors: Tensor, others: Tensor | None = None) -> Tensor:
        """Return the scores behind the chosen gates of all crosses, (B, P): open if > 0.

        The second field of a pair has its vector in ``others``, if given.
        """
        scores = [selection.chosen_scores(vectors, others) for selection in self._selections]
        return _join(scores).expand(len(vectors), -1)

    @torch.no_grad()
    def follows_fields(self) -> Tensor:
        """Return for every cross whether its chosen gate follows the fields, (P,) bool."""
        return torch.cat([selection.follows_fields() for selection in self._selections])

    def alphas(self) -> Tensor:
        """Return the learnt choice of every cross, (P,); NaN where there is none."""
        return torch.cat(
            [
                selection.alpha.detach()
                if selection.granularity == "hybrid"
                else self.embedding.weight.new_full((selection.n_crosses,), torch.nan)
                for selection in self._selections
            ]
        )

    def selection_parameters(self) -> tuple[list[nn.Parameter], ...]:
        """Return what the search trains beside the table: field vectors, alphas, networks."""
        kinds: dict[str, list[nn.Parameter]] = {"field_vectors": [], "alpha": [], "": []}
        for name, parameter in self.selections.named_parameters():
            last = name.split(".")[-1]
            kinds[last if last in kinds else ""].append(parameter)
        return tuple(kinds.values())

    def pair_inputs(self, codes: Tensor, others: Tensor) -> Tensor:
        """Return the inputs that are crosses of a net of pairs, (B, P').

        The first field of a pair has its code in ``codes`` (B, F), the second in ``others`` (B, F).
        """
        embeddings, vectors = self.look_up(codes)
        other_embeddings, other_vectors = self.look_up(others)
        if self.outer is not None:
            crosses = self.outer(embeddings, other_embeddings)
        else:
            crosses = upper_triangle(embeddings @ other_embeddings.mT)
        crosses = take_columns(crosses, self.kept)
        if self.chosen is not None and self.chosen.by_value:
            crosses *= take_columns(self.chosen_gates(vectors, other_vectors), self.kept)
        return crosses

    def predict(self, embeddings: Tensor, gates: Tensor | None) -> Tensor:
        """Return logits (B, K) of embeddings (B, F, D) and gates."""
        logits: Tensor = self.mlp(self.inputs(embeddings, gates))
        return logits

    def inputs(self, embeddings: Tensor, gates: Tensor | None) -> Tensor:
        """Return the inputs of the predictor: embeddings, gated crosses, in training the fill."""
        if self.outer is not None:
            crosses = self.outer(embeddings)
        else:
            crosses = _join([inner_crosses(embeddings, order) for order in self.config.orders])
        if len(self.kept) < self.n_crosses:
            crosses = take_columns(crosses, self.kept)
        if gates is not None:
            crosses = crosses * gates
        fill = crosses.new_zeros(len(crosses), self.mlp.n_fill(len(crosses)))
        return torch.cat([embeddings.flatten(1), crosses, fill], 1)

    def write(self, graph: Graph, codes: str) -> str:
        """Add the net to a graph: codes (B, F), int64, to logits (B, K)."""
        n_fields = len(self.embedding.vocabulary_sizes)
        kept, gates = self.kept_crosses(), self.chosen is not None and self.chosen.by_value
        ends = list(accumulate(self.widths if gates else self.widths[:1]))
        parts = self.embedding.write_parts(graph, codes, ends)
        embeddings, vectors = parts[0], parts[-1]
        inputs = [reshape(graph, embeddings, 0, -1)]
        for order, selection in zip(self.config.orders, self._selections, strict=True):
            sets = [fields for fields in kept if len(fields) == order]
            if not sets:
                continue
            crosses = self._write_crosses(graph, embeddings, sets)
            if gates:
                scores = selection.write(graph, vectors, sets, n_fields)
                is_open = graph.add("Cast", graph.add("Greater", scores, 0.0), to=1)
                crosses = graph.add("Mul", crosses, is_open)
            inputs.append(crosses)
        return self.mlp.write(graph, graph.add("Concat", *inputs, axis=1))

    def _write_crosses(self, graph: Graph, embeddings: str, sets: list[tuple[int, ...]]) -> str:
        if self.outer is None:
            return write_inner(graph, embeddings, sets, len(self.embedding.vocabulary_sizes))
        return self.outer.write(graph, embeddings, sets)

    def crosses(self) -> list[tuple[int, ...]]:
        """List the fields of all crosses, in the order of their positions."""
        fields = range(len(self.embedding.vocabulary_sizes))
        return [cross for order in self.config.orders for cross in combinations(fields, order)]

    def kept_crosses(self) -> list[tuple[int, ...]]:
        """List the fields of the crosses that the net has, in the order of its inputs."""
        crosses = self.crosses()
        return [crosses[position] for position in self.kept.tolist()]

    @property
    def takes_passes(self) -> bool:
        """Whether effects take passes of the net; inputs that are pairs can be told apart."""
        return self.config.orders != (2,) or self.chosen is None

    def effects(self, codes: Tensor, sets: Sequence[FieldSet], columns: Columns) -> Tensor:
        """Return what sets of fields do to the logits, (P, B, K); see `sparsectr.nn.effects`.

        Parameters
        ----------
        codes : Tensor of shape (B, F)
            Rows.
        sets : sequence of tuples of int
            P sets of fields, of any orders, with open gates or not.
        columns : sequence of tuples of int
            The code columns of every field.
        """
        if self.takes_passes:
            return effects_by_passes(partial(logits_of, self), codes, sets, columns)
        pairs = self.kept_crosses()
        behind = PairsBehindMLP(
            self.mlp, lambda codes: self.look_up(codes)[0], self.pair_inputs, pairs, codes
        )
        return behind.effects(sets, columns)

    @torch.no_grad()
    def prune(self) -> OptFeatureNet:
        """Choose the gates, and return a net without the crosses that are closed for good."""
        closed = torch.cat([selection.closed_for_good() for selection in self._selections])
        kept = (~closed).nonzero()[:, 0]
        chosen = ChosenGates(tuple(kept.tolist()), not bool(self.follows_fields()[kept].all()))
        net = OptFeatureNet(**(self.arguments | {"chosen": chosen})).to(kept.device)
        net.embedding, net.selections, net.outer = self.embedding, self.selections, self.outer
        n_embedded = self.mlp.first.in_features - self.n_crosses
        embedded = torch.arange(n_embedded, dtype=torch.int64, device=kept.device)
        columns = torch.cat([embedded, n_embedded + kept])
        net.mlp = self.mlp.without_inputs(columns)
        return net


def _adds_pairs(net: OptFeatureNet, *_: object, **__: object) -> bool:
    """Tell whether there are inner products of pairs alone, one logit, and no dropout."""
    return (
        net.pairs is not None
        and net.arguments["n_outputs"] == 1
        and net.embedding.sparse
        and net.mlp.dropout.rate == 0
    )


@fused(cpu="optfeature.mlp_loss", covers=_adds_pairs)
def mlp_loss(
    net: OptFeatureNet, batch: Batch, gates: Tensor | None, *, of_gates: bool = False
) -> Tensor:
    """Return the loss of a batch, shape (); see `OptFeatureNet.loss`."""
    with torch.no_grad() if of_gates else nullcontext():
        embeddings, _ = net.look_up(batch.codes)
    return batch.mean_loss(net.predict(embeddings, gates))


def _join(blocks: Sequence[Tensor]) -> Tensor:
    """Put blocks (..., n) of several orders side by side; one alone is not copied."""
    return torch.cat(list(blocks), -1) if len(blocks) > 1 else blocks[0]
