"""Epoch reports: one line per epoch, and scikit-learn's callbacks where it has them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from threading import Lock
from typing import Any, TypeVar, cast

from sklearn.base import BaseEstimator

from sparsectr.progress import ProgressBar

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:  # scikit-learn before 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand in for scikit-learn's mixin: nothing to set, nothing to call."""

    def _with_callbacks(method: Any) -> Any:
        return method


# From this value of ``verbose`` on, rows are counted while one waits.
BARS = 2
Method = TypeVar("Method", bound=Callable[..., Any])
Rows = TypeVar("Rows", bound=Sized)

__all__ = ["CallbackSupportMixin", "EpochReporter", "begin_fit", "with_callbacks"]


def with_callbacks(method: Method) -> Method:
    """Return a `fit` that looks after its callbacks, or the method itself without callbacks.

    scikit-learn publishes no types: its own decorator would take those of the method away.
    """
    return cast("Method", _with_callbacks(method))


def begin_fit(estimator: BaseEstimator, most_epochs: int | None, X: object, y: object) -> Any:
    """Tell the callbacks of an estimator that a fit begins.

    Parameters
    ----------
    estimator : estimator
        The estimator being fitted.
    most_epochs : int or None
        Largest number of epochs of one of its members; None if not known.
    X, y : object
        What it is fitted on.

    Returns
    -------
    sklearn.callback.CallbackContext or None
        Root context of the fit; None without callback support (scikit-learn 1.9).
    """
    if not hasattr(estimator, "_init_callback_context"):
        return None
    known = most_epochs is not None and isinstance(estimator.n_members, int)
    most = most_epochs * estimator.n_members if known else None
    context = estimator._init_callback_context(max_subtasks=most)
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=y)
    return context


class EpochReporter:
    """Report every epoch to the screen and to the callbacks of an estimator.

    Parameters
    ----------
    estimator : estimator
        The estimator being fitted.
    snapshot : callable
        Takes the net, returns the fitted attributes with which a copy of the estimator can
        predict. Called only if a callback asks for the fitted estimator.
    context : sklearn.callback.CallbackContext, optional
        Root context of the fit; None without callback support.
    X, y : optional
        What the estimator is fitted on, for callbacks that measure on it.
    """

    def __init__(
        self,
        estimator: BaseEstimator,
        snapshot: Callable[[Any], dict[str, Any]],
        context: Any = None,
        X: object = None,
        y: object = None,
    ) -> None:
        self.estimator = estimator
        self.snapshot = snapshot
        self.context = context
        self.data = {"X": X, "y": y}
        # What a net lacks while it is trained; see `sparsectr.training.loop.Reporter`.
        self.complete: Callable[[], None] = lambda: None
        self._epoch_context: Any = None
        # Which of several fits is running.
        self.member: int | None = None
        # Whether another process writes the same lines.
        self.silent = False
        self._bar: ProgressBar | None = None
        self._lock = Lock()
        # How long every epoch took, over all phases.
        self.seconds: list[float] = []

    def report_rows(self, n_rows: int, done: str) -> None:
        """Called when so many rows of a source were "counted", or "encoded" after that.

        Threads that read parts of files call it.
        """
        if self.estimator.verbose < BARS or self.silent:
            return
        with self._lock:
            n_counted, bar = 0, self._bar
            if bar is not None and not bar.name.endswith(done):
                bar.close()
                n_counted, bar = bar.n_done, None
            if bar is None:
                name = type(self.estimator).__name__
                bar = ProgressBar(f"[{name}] {done}", n_counted if done == "encoded" else None)
            bar.advance(n_rows)
            finished = bar.n_done == bar.n_all
            if finished:
                bar.close()
            self._bar = None if finished else bar

    def watch(self, batches: Iterator[Rows], n_rows: int) -> Iterator[Rows]:
        """Yield the batches of an epoch over so many rows, and show how far it is."""
        if self.estimator.verbose < BARS or self.silent:
            yield from batches
            return
        name = type(self.estimator).__name__
        bar = ProgressBar(f"[{name}] epoch {len(self.seconds) + 1}", n_rows)
        for rows in batches:
            yield rows
            bar.advance(len(rows))
        bar.close()

    def report_compilation(self, seconds: float) -> None:
        """Show how long kernels were compiled, which the first fit on a machine has to wait for."""
        if self.silent:
            return
        name = type(self.estimator).__name__
        sys.stdout.write(f"[{name}] compiled kernels in {seconds:.1f} s, kept for later fits\n")

    def name_member(self) -> dict[str, int]:
        """Return what the records of the running fit have beside those of an only one."""
        return {} if self.member is None else {"member": self.member}

    def resume(self, history: Sequence[Mapping[str, object]], seconds: Sequence[float]) -> None:
        """Take over epochs that an earlier fit has trained."""
        self.seconds += seconds
        if self.estimator.verbose and history:
            name, last = type(self.estimator).__name__, {**self.name_member(), **history[-1]}
            sys.stdout.write(f"{format_record(name, last | {'seconds': seconds[-1]})}, resumed\n")

    def begin_epoch(self, net: object) -> None:
        """Open the context of an epoch."""
        if self.context is not None:
            self._epoch_context = self.context.subcontext(task_name="epoch")
            self._epoch_context.call_on_fit_task_begin(
                estimator=self.estimator,
                reconstruction_attributes=lambda: self._take_snapshot(net),
                **self.data,
            )

    def _take_snapshot(self, net: object) -> dict[str, Any]:
        self.complete()
        return self.snapshot(net)

    def end_epoch(self, net: object, record: dict[str, Any]) -> bool:
        """Show an epoch's record; return whether a callback asks to stop."""
        self.seconds.append(record["seconds"])
        if self.estimator.verbose and not self.silent:
            sys.stdout.write(
                format_record(type(self.estimator).__name__, self.name_member() | record) + "\n"
            )
        if self.context is None:
            return False
        return bool(
            self._epoch_context.call_on_fit_task_end(
                estimator=self.estimator,
                reconstruction_attributes=lambda: self._take_snapshot(net),
                **self.data,
            )
        )


def format_record(name: str, record: dict[str, Any]) -> str:
    """Return one line of text for the numbers of an epoch's record.

    Examples
    --------
    >>> format_record("Net", {"phase": "train", "epoch": 3, "train_loss": 0.51, "seconds": 1.5})
    '[Net] train epoch 3: train_loss 0.5100, 1.5 s'
    """
    member = f"member {record['member']}, " if "member" in record else ""
    head = f"[{name}] {member}{record['phase']} epoch {record['epoch']}: "
    values = [
        f"{key} {value:.4f}"
        for key, value in record.items()
        if key not in ("member", "phase", "epoch", "seconds") and isinstance(value, float)
    ]
    return head + ", ".join([*values, f"{record['seconds']:.1f} s"])
