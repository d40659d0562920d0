"""What processes that fit together must have in common, and what is different where they do not."""

from __future__ import annotations

from typing import Any

import joblib

from sparsectr.rows.digest import digest_rows, tensor_bytes
from sparsectr.rows.labelled import LabelledRows
from sparsectr.training.exchange import current_exchange

# Those that may differ: a source of random numbers is that of the first process, and each process
# has a device, a disk and a screen of its own.
OWN_PARAMETERS = {"random_state", "device", "cache_dir", "verbose"}


def require_same_fit(estimator: Any, rows: LabelledRows, validation: LabelledRows | None) -> None:
    """Raise ValueError, in all processes, where they are about to fit different things.

    Parameters
    ----------
    estimator : BaseInteractionEstimator
        Compared are its parameters, its vocabularies and what its target has learnt.
    rows, validation : LabelledRows
        Compared are codes, targets and weights.
    """
    if current_exchange().n_processes == 1:
        return
    compared = {
        f"the parameter {name}": value
        for name, value in estimator.get_params(deep=False).items()
        if name not in OWN_PARAMETERS
    }
    compared["the vocabularies of X"] = estimator.encoder_
    compared |= {name: vars(estimator).get(name) for name in estimator._target_state}
    digests = {name: joblib.hash(value) for name, value in compared.items()}
    digests |= digest_rows(rows)
    if validation is not None:
        digests |= {f"{name}_val": digest for name, digest in digest_rows(validation).items()}
    _require_same(digests)
    # Machines with little memory visit neighbours together, and then all do.
    rows.source.block_rows = max(current_exchange().gather(rows.source.block_rows))


def require_same_split(rows: LabelledRows) -> None:
    """Raise ValueError, in all processes, where they set different rows apart."""
    if current_exchange().n_processes > 1 and rows.numbers is not None:
        _require_same(
            {"the rows set apart for validation": joblib.hash(tensor_bytes(rows.numbers))}
        )


def _require_same(digests: dict[str, Any]) -> None:
    """Compare digests of what is named with those of the first process."""
    found = current_exchange().gather(digests)
    for rank, other in enumerate(found):
        for name in {**found[0], **other}:
            if other.get(name) != found[0].get(name):
                raise ValueError(
                    "all processes must fit the same estimator to the same rows: "
                    f"{name} must be equal, got other values in process {rank} than in process 0. "
                    "Give all of them the same data in the same order."
                )
