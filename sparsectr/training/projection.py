"""Take what smaller sets of fields explain out of the sums of residuals of a set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sparsectr.training.joint_cells import Scratch, joint_cells

# Maximum number of passes over the parts of a set that take them out of the residuals, by cell and
# by row.
CELL_SWEEPS = 20
ROW_SWEEPS = 1
# They end when a pass moves the score by less than this.
LEAST_MOVE = 0.05
# Rows of a cell without rows.
EMPTY = 1e-6


class Units(NamedTuple):
    """Cells of a set, or its rows if the joint values are hashed.

    Attributes
    ----------
    codes : list of o tensors of shape (n_units,)
    sizes : list of int
    counts : Tensor of shape (n_units,)
        Rows of a unit.
    sums : list of K tensors of shape (n_units,)
        Sums of the residuals.
    squares : Tensor of shape (n_units,)
        Sums of the squared residuals.
    agreeing : Tensor of shape (n_units,)
        Rows that have the joint value of the unit, without those that share a cell by its hash.
    cells : Tensor of shape (n_units,) or None
        Cell of each row; None if the units are cells.
    n_cells : int
    """

    codes: list[Tensor]
    sizes: list[int]
    counts: Tensor
    sums: list[Tensor]
    squares: Tensor
    agreeing: Tensor
    cells: Tensor | None
    n_cells: int


class Part(NamedTuple):
    """Some fields of a set: cell of each unit, rows of each cell (1 for none), and of each unit."""

    cells: Tensor
    n_cells: int
    held: Tensor
    around: Tensor


def count_part(units: Units, members: Sequence[int], scratch: Scratch) -> Part:
    """Count the rows of the joint values of some fields of a set.

    Parameters
    ----------
    units : Units
        Of the set.
    members : sequence of int
        Positions of the fields in the set.
    scratch : Scratch
        Holds the counts until the same part of another set is counted.
    """
    name = f"part {members}"
    cells, n_cells, _ = joint_cells(
        [units.codes[k] for k in members], [units.sizes[k] for k in members], scratch, name
    )
    held = scratch.sum_cells(f"held {name}", cells, units.counts, n_cells).clamp_(min=1)
    return Part(cells, n_cells, held, scratch.look_up(f"around {name}", held, cells))


def variance_shares(units: Units, parts: Sequence[Part], scratch: Scratch) -> Tensor:
    """Return how much of the variance of every cell's sum its parts leave.

    Parameters
    ----------
    units : Units
        Of the set.
    parts : sequence of o parts
        Each without another field of the set.
    scratch : Scratch
        Holds the result until the next set.

    Returns
    -------
    Tensor of shape (n_units,)

    Notes
    -----
    From the table of 2^o cells in which every field only tells whether it has the value it has in
    this cell. What its parts leave is one contrast, of variance 1 / (sum of 1 / rows), the sum
    taken over the 2^o cells. Where there are very many cells, those in which two fields and more
    differ are large, and left out of the sum.
    """
    order = len(units.codes)
    agreeing = torch.clamp(units.agreeing, min=1, out=scratch.get("own", len(units.agreeing)))
    if units.cells is not None:
        share = scratch.get("share", len(agreeing)).fill_(1)
        rest = scratch.get("step", len(agreeing))
        for part in parts:
            torch.sub(part.around, agreeing, out=rest).clamp_(min=EMPTY)
            share += torch.div(agreeing, rest, out=rest)
        return share.reciprocal_()
    whole = 2**order - 1
    around = {0: torch.full_like(agreeing, float(units.counts.sum())), whole: agreeing}
    around |= {whole - (1 << k): part.around for k, part in enumerate(parts)}
    for mask in range(whole):
        if mask not in around:
            members = [k for k in range(order) if mask >> k & 1]
            around[mask] = count_part(units, members, scratch).around
    # From "at least these fields agree" to "just these fields agree".
    for k in range(order):
        for mask in range(2**order):
            if not mask >> k & 1:
                around[mask] = around[mask] - around[mask | 1 << k]
    resistance = torch.zeros_like(agreeing)
    for held in around.values():
        resistance += 1 / held.clamp(min=EMPTY)
    return resistance.mul_(agreeing).reciprocal_().clamp_(max=1)


def project(
    units: Units, parts: Sequence[Part], mean: float, scratch: Scratch
) -> tuple[list[Tensor], Tensor]:
    """Take the largest parts of a set out of the sums of residuals, by least squares.

    Parameters
    ----------
    units : Units
        Of the set.
    parts : sequence of o parts
        Each without another field of the set.
    mean : float
        Mean of the squared residuals.
    scratch : Scratch
        Holds the results until the next set.

    Returns
    -------
    rest : list of K tensors of shape (n_units,)
        Sums of what is left of the residuals.
    left : Tensor of shape (n_units,)
        Sums of its squares.
    """
    by_row, n_units = units.cells is not None, len(units.counts)
    # Moving the score by a share of its deviation, as if all cells were equal.
    enough = (
        LEAST_MOVE * mean * float(units.counts.sum() / (units.agreeing @ units.agreeing).sqrt())
    )
    left = scratch.get("left", n_units).zero_() if by_row else units.squares.clone()
    rest = []
    for k, sums in enumerate(units.sums):
        now = scratch.get(f"now {k}", n_units).copy_(sums)
        effect = scratch.get("effect", n_units).zero_()
        for sweeps_left in reversed(range(ROW_SWEEPS if by_row else CELL_SWEEPS)):
            moved = 0.0
            for part in parts:
                means = scratch.sum_cells("means", part.cells, now, part.n_cells)
                means /= part.held
                if sweeps_left:
                    moved += float((part.held * means) @ means)
                step = scratch.look_up("step", means, part.cells)
                if not by_row:
                    effect += step
                    step *= units.counts
                now -= step
            if moved <= enough:
                break
        rest.append(now)
        if by_row:
            left.addcmul_(now, now)
        else:
            left += effect * (units.counts * effect - 2 * sums)
    return rest, left.clamp_(min=0)
