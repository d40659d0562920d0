"""Whether two parts of a process, or two processes, have the same rows."""

from __future__ import annotations

import hashlib

from torch import Tensor

from sparsectr.rows.labelled import PIECE_ROWS, LabelledRows


def digest_rows(rows: LabelledRows) -> dict[str, str]:
    """Return digests of the codes, targets and weights of rows, by the names they have in `fit`.

    Equal only if all of them are, in the same order.

    Parameters
    ----------
    rows : LabelledRows
        Read in pieces.
    """
    digests = {name: hashlib.blake2b(digest_size=16) for name in ("X", "y", "sample_weight")}
    for piece in rows.pieces(PIECE_ROWS):
        parts = (piece.codes, piece.targets, piece.weights)
        for digest, part in zip(digests.values(), parts, strict=True):
            digest.update(tensor_bytes(part))
    return {name: digest.hexdigest() for name, digest in digests.items()}


def tensor_bytes(tensor: Tensor) -> bytes:
    """Return the numbers of a tensor on any device, in the order of its indices."""
    return tensor.detach().cpu().numpy().tobytes()
