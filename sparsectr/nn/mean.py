"""Several fits of one net as a net: the mean of their logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from sparsectr.nn.effects import Columns, FieldSet
from sparsectr.nn.embedding import FieldEmbedding
from sparsectr.nn.graph import Graph


class MeanNet(nn.Module):
    """Average the logits of several nets of one class.

    Whatever is linear in the logits is then the mean of what the members have: effects of sets of
    fields, contributions, intercepts.

    Parameters
    ----------
    members : sequence of nn.Module
        Nets for the same codes, each with an attribute ``arguments`` that rebuilds it.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    @property
    def arguments(self) -> dict[str, Any]:
        """What rebuilds the net; see `build_net`."""
        return {"members": [member.arguments for member in self.members]}

    def forward(self, codes: Tensor) -> Tensor:
        """Turn codes (B, C) into logits (B, K)."""
        return self._mean(lambda member: member(codes))

    @property
    def takes_passes(self) -> bool:
        """Whether effects take passes of the members."""
        return any(cast(Any, member).takes_passes for member in self.members)

    def effects(self, codes: Tensor, sets: Sequence[FieldSet], columns: Columns) -> Tensor:
        """Return what P sets of fields do to the logits, (P, B, K); see `sparsectr.nn.effects`."""
        return self._mean(lambda member: member.effects(codes, sets, columns))

    def write(self, graph: Graph, codes: str) -> str:
        """Add the nets and their mean to a graph: codes (B, C), int64, to logits (B, K)."""
        return graph.add("Mean", *(cast("Any", net).write(graph, codes) for net in self.members))

    def _mean(self, function: Callable[[Any], Tensor]) -> Tensor:
        total = function(self.members[0])
        for member in self.members[1:]:  # type: ignore[misc]
            total = total + function(member)
        return total / len(self.members)


def count_parameters(net: nn.Module, n_sets: int = 0) -> dict[str, int]:
    """Count the weights of every part of a net, or of all its members.

    Rows of tables that stand for sets of values, ``n_sets`` of each, are means of others, and no
    weights.
    """
    counts: dict[str, int] = {}
    for member in members_of(net):
        for part, child in member.named_children():
            n = sum(parameter.numel() for parameter in child.parameters())
            tables = (module for module in child.modules() if isinstance(module, FieldEmbedding))
            n -= sum(n_sets * table.weight.shape[1] for table in tables)
            counts[part] = counts.get(part, 0) + n
    return counts


def members_of(net: nn.Module) -> list[nn.Module]:
    """Return the nets of which a net is the mean; a net that is none is its only member."""
    return list(net.members) if isinstance(net, MeanNet) else [net]


def join_members(nets: Sequence[nn.Module]) -> nn.Module:
    """Return the mean of nets, or the only one."""
    return MeanNet(nets) if len(nets) > 1 else nets[0]


def build_net(make: Callable[..., nn.Module], arguments: Mapping[str, Any]) -> nn.Module:
    """Rebuild a net, or the mean of several, from its ``arguments``."""
    each = cast("list[dict[str, Any]]", arguments.get("members", [arguments]))
    return join_members([make(**some) for some in each])


def stored_members(
    arguments: Mapping[str, Any], weights: Mapping[str, Any]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the arguments and the weights of every member, from those of a net as they are stored.

    Raises
    ------
    KeyError
        If a weight belongs to no member.
    """
    if "members" not in arguments:
        yield dict(arguments), dict(weights)
        return
    of_members: list[dict[str, Any]] = [{} for _ in arguments["members"]]
    places = {f"members.{place}": some for place, some in enumerate(of_members)}
    for name, weight in weights.items():
        prefix, number, rest = name.split(".", 2)
        places[f"{prefix}.{number}"][rest] = weight
    yield from zip(arguments["members"], of_members, strict=True)
