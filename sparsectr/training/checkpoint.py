"""Folders from which a training goes on that was ended from outside."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparsectr.training.run_checkpoint import RunCheckpoint, Trained, replaced

FORMAT = 1
# Says what is trained in a folder, and by whom.
ABOUT = "fit.json"


class Checkpoint:
    """The folder of one training, with a file for each run of the loop.

    A training is repeated from its start: what is in no file (drawing initial weights, screening,
    ranking) is computed again. The runs of the loop come in the same order, and each goes on from
    its file. Two processes must not run the same training in one folder at the same time.

    Parameters
    ----------
    folder : Path or None
        Holds the folders of all trainings; made if it is not there. None in all processes but the
        first of those that train together: it reads and writes for all.
    description : dict of str to str
        All that makes the training what it is; its digest names the folder.

    Attributes
    ----------
    folder : Path or None
        The folder of this training.

    Raises
    ------
    ValueError
        If the folder cannot be read, or is that of another training.

    Warns
    -----
    UserWarning
        If a training of the same estimator was ended from outside, and differs: the message says in
        what.
    """

    def __init__(self, folder: Path | None, description: Mapping[str, str]) -> None:
        self._description = dict(description)
        self.folder: Path | None = None
        self._n_begun = 0
        if folder is None:
            return
        digest = hashlib.sha256(json.dumps(self._description, sort_keys=True).encode()).hexdigest()
        self.folder = folder / digest[:32]
        if (self.folder / ABOUT).exists():
            self._check(self.folder, _read_about(self.folder))
        else:
            self._tell_of_others(folder)
            self.folder.mkdir(parents=True, exist_ok=True)
        self._write_about(self.folder, is_complete=False)

    def begin_run(self, trained: Trained) -> RunCheckpoint:
        """Return the file of the next run of the loop."""
        self._n_begun += 1
        path = None if self.folder is None else self.folder / f"run-{self._n_begun}.pt"
        return RunCheckpoint(path, trained)

    def close(self) -> None:
        """Note that the training is complete; a repeated one only reads the files."""
        if self.folder is not None:
            self._write_about(self.folder, is_complete=True)

    def _write_about(self, folder: Path, is_complete: bool) -> None:
        about = {
            "format": FORMAT,
            "description": self._description,
            "host": socket.gethostname(),
            "process": os.getpid(),
            "is_complete": is_complete,
        }
        with replaced(folder / ABOUT) as file:
            file.write(json.dumps(about, indent=1).encode())

    def _check(self, folder: Path, about: dict[str, Any]) -> None:
        if about["format"] != FORMAT:
            raise ValueError(
                f"the checkpoint {folder} must have format {FORMAT}, got "
                f"{about['format']!r}; remove it to train from the start."
            )
        if about["description"] != self._description:
            difference = _name_differences(about["description"], self._description)
            raise ValueError(
                f"the checkpoint {folder} must be that of the same fit, but it differs in "
                f"{difference}; remove it to train from the start."
            )

    def _tell_of_others(self, folder: Path) -> None:
        """Warn if a fit that was ended from outside is not the one that starts now."""
        for path in sorted(folder.glob(f"*/{ABOUT}")):
            about = _read_about(path.parent)
            kept, now = about["description"], self._description
            is_alike = all(kept.get(name) == now.get(name) for name in ("estimator", "member"))
            if is_alike and not about["is_complete"] and not _is_alive(about):
                warnings.warn(
                    f"{path.parent} holds a fit that was not completed, and that differs in "
                    f"{_name_differences(kept, now)}: this one starts anew. Remove the folder if "
                    "it is of no use.",
                    UserWarning,
                    stacklevel=2,
                )


def _read_about(folder: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_bytes())
        if not {"format", "description", "process", "is_complete"} <= about.keys():
            raise KeyError
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"the checkpoint {folder} cannot be read; remove it to train from the start."
        ) from error
    return about


def _name_differences(kept: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Say in what two descriptions differ, digests without their values."""
    return ", ".join(
        name
        if name.startswith(("training ", "validation ")) or name in ("seeds", "start")
        else f"{name} ({kept.get(name)}, now {now.get(name)})"
        for name in sorted({*kept, *now})
        if kept.get(name) != now.get(name)
    )


def _is_alive(about: dict[str, Any]) -> bool:
    """Tell whether the process of a training may still run; nothing is known of other machines."""
    if about.get("host") != socket.gethostname():
        return True
    try:
        os.kill(about["process"], 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
