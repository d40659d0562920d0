"""Functions in processes that torch.distributed connects, and fits for them to run."""

import multiprocessing
import os
import signal
import threading
import time
from datetime import timedelta

import numpy as np
import torch
import torch.distributed as dist
from sklearn.base import clone

from sparsectr import (
    DynIntClassifier,
    DynIntRegressor,
    OptFeatureClassifier,
    OptFeatureRegressor,
    ProfitClassifier,
    ProfitRegressor,
    distributed,
)
from sparsectr.callbacks import EpochReporter
from sparsectr.datasets import make_clicks
from sparsectr.kernels.fused import fused_kernels

SECONDS = 500  # that a test may take
GROUP_SECONDS = 400  # that a process waits for the others
KILLED = "killed"


def run_together(function, n_processes, folder, *args):
    """Return what a function returns in each of several processes; errors as (type, text)."""
    context = multiprocessing.get_context("spawn")
    store = folder / f"store_{time.monotonic_ns()}"
    pipes, children = [], []
    ends = time.monotonic() + SECONDS
    try:
        for rank in range(n_processes):
            here, there = context.Pipe(duplex=False)
            child = context.Process(
                target=_run, args=(there, function, rank, n_processes, str(store), args)
            )
            child.start()
            there.close()
            pipes.append(here)
            children.append(child)
        return [_receive(pipe, ends) for pipe in pipes]
    finally:
        for child in children:
            child.kill()
            child.join()


def _receive(pipe, ends):
    assert pipe.poll(max(0, ends - time.monotonic())), "a process hangs"
    try:
        return pipe.recv()
    except EOFError:
        return KILLED


def _run(pipe, function, rank, n_processes, store, args):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{store}",
        rank=rank,
        world_size=n_processes,
        timeout=timedelta(seconds=GROUP_SECONDS),
    )
    try:
        pipe.send(function(*args))
    except Exception as error:
        pipe.send((type(error), str(error)))
    else:
        dist.destroy_process_group()


# Fits ------------------------------------------------------------------------------------

CLICKS = make_clicks(1200, 4, 30, crosses=[(0, 2)], random_state=0)
LENGTHS = np.array([len(value) for value in CLICKS.X["f1"]])
THREE = np.array(["a", "b", "c"])[CLICKS.y + (LENGTHS.min() == LENGTHS)]
NUMBERS = CLICKS.y + LENGTHS / 10
WEIGHTS = 1 + np.arange(1200) % 3
DYNINT = DynIntClassifier(max_epochs=2, n_interactions=5, random_state=0)
PROFIT = ProfitClassifier(max_epochs=2, search_epochs=1, n_interactions=5, random_state=0)
OPTFEATURE = OptFeatureClassifier(
    max_epochs=2, search_epochs=1, hidden_units=(16, 8), n_interactions=5, random_state=0
)
# The same batches in one process and in several: (estimator, y, sample_weight, fused).
FITS = {
    **{
        f"DynInt {variant}": (clone(DYNINT).set_params(variant=variant), CLICKS.y, None, True)
        for variant in ("pin", "da", "dgp", "dwp")
    },
    **{
        f"DynInt {optimizer} {'fused' if fused else 'torch'}": (
            clone(DYNINT).set_params(optimizer=optimizer, embedding_l2=1e-2),
            CLICKS.y,
            WEIGHTS,
            fused,
        )
        for optimizer in ("adagrad", "adam", "ftrl")
        for fused in (True, False)
    },
    "DynInt, three classes": (DYNINT, THREE, None, True),
    "DynInt, two members": (clone(DYNINT).set_params(n_members=2), CLICKS.y, None, True),
    "DynInt, numbers": (
        DynIntRegressor(max_epochs=2, n_interactions=5, random_state=0),
        NUMBERS,
        WEIGHTS,
        True,
    ),
    "PROFIT adagrad": (PROFIT, CLICKS.y, None, True),
    "PROFIT adam, random": (
        clone(PROFIT).set_params(optimizer="adam", search="random", max_order=2),
        CLICKS.y,
        None,
        True,
    ),
    "PROFIT, MLP": (clone(PROFIT).set_params(predictor="mlp"), CLICKS.y, None, False),
    "PROFIT, numbers": (
        ProfitRegressor(max_epochs=2, search_epochs=1, n_interactions=5, random_state=0),
        NUMBERS,
        None,
        True,
    ),
    "OptFeature, joint": (clone(OPTFEATURE).set_params(search="joint"), CLICKS.y, None, True),
    "OptFeature, numbers": (
        OptFeatureRegressor(
            search="joint",
            max_epochs=2,
            search_epochs=1,
            hidden_units=(8,),
            n_interactions=5,
            random_state=0,
        ),
        NUMBERS,
        None,
        False,
    ),
}
# As long in four processes as in two: some of them.
FEW_FITS = {
    name: FITS[name]
    for name in (
        "DynInt dwp",
        "DynInt adagrad fused",
        "DynInt adam torch",
        "DynInt ftrl fused",
        "PROFIT adagrad",
        "OptFeature, joint",
    )
}
# What single rows draw is another thing in every process.
NOISY_FITS = {
    "OptFeature": (OPTFEATURE, CLICKS.y, None, True),
    "OptFeature, dropout": (
        clone(OPTFEATURE).set_params(search="joint", dropout=0.2),
        CLICKS.y,
        None,
        True,
    ),
    "no seed": (clone(DYNINT).set_params(random_state=None), CLICKS.y, None, True),
}


def fit_all(fits):
    """Return the outcome of every fit by its name."""
    outcomes = {}
    for name, (estimator, y, weights, fused) in fits.items():
        with fused_kernels(fused):
            model = clone(estimator).fit(CLICKS.X, y, weights)
        outcomes[name] = outcome_of(model)
    return outcomes


def outcome_of(model):
    return {
        "world_size": model.world_size_,
        "weights": model._net_state,
        "history": model.history_,
        "table": model.interaction_table().to_dict("list"),
    }


def fit_in_turns():
    """Return what fits, chunks, a fit alone and one of some of the processes lead to."""
    model = clone(DYNINT).set_params(max_epochs=4, learning_rate=0.05, early_stopping=True)
    model.fit(CLICKS.X, CLICKS.y)
    outcomes = {"early stopping": outcome_of(model)}
    model = clone(DYNINT)
    for first in (0, 600):
        rows = slice(first, first + 600)
        model.partial_fit(CLICKS.X[rows], CLICKS.y[rows], classes=[0, 1])
    outcomes["chunks"] = outcome_of(model)
    if dist.is_initialized():
        with distributed(None):
            outcomes["alone"] = outcome_of(clone(DYNINT).fit(CLICKS.X, CLICKS.y))
        some = [0, 2] if dist.get_world_size() > 2 else [0, 1]
        group = dist.new_group(some)
        if dist.get_rank() in some:
            with distributed(group):
                outcomes["some"] = outcome_of(clone(DYNINT).fit(CLICKS.X, CLICKS.y))
    return outcomes


def fit_from_file(folder):
    """Return the outcomes of fits of a file, with codes in a shared folder and without."""
    path = folder / "rows.parquet"
    outcomes = {}
    for cache_dir in (folder / "codes", None):
        model = clone(DYNINT).set_params(cache_dir=cache_dir)
        model.fit(path, "clicked", X_val=path, y_val="clicked")
        outcomes[str(cache_dir is None)] = outcome_of(model)
    outcomes["folders"] = sorted(place.name for place in (folder / "codes").iterdir())
    return outcomes


def fit_with_checkpoint(folder, last_epoch):
    """Return the outcome of a fit and its number of epochs; all are killed after ``last_epoch``."""
    end_epoch, n_epochs = EpochReporter.end_epoch, []

    def end_or_die(reporter, net, record):
        n_epochs.append(record["epoch"])
        if record["epoch"] > last_epoch:
            dist.barrier()  # the first one has written its file
            _kill()
        return end_epoch(reporter, net, record)

    EpochReporter.end_epoch = end_or_die
    model = clone(DYNINT).set_params(checkpoint=str(folder), max_epochs=3)
    return outcome_of(model.fit(CLICKS.X, CLICKS.y)), n_epochs


# Fits that fail ----------------------------------------------------------------------------


def fail_in_turns(faults):
    """Return how fits fail where the last process meets a fault, and the outcome of a good one."""
    errors = {fault: fit_where_the_last_fails(fault) for fault in faults}
    errors["threads"] = fit_in_two_threads()
    return errors, outcome_of(clone(DYNINT).fit(CLICKS.X, CLICKS.y))


def fit_where_the_last_fails(fault):
    """Return type and text of an error, the seconds until then, and whether there is a fit."""
    X, y, model = CLICKS.X.copy(), CLICKS.y.copy(), clone(DYNINT)
    end_epoch = EpochReporter.end_epoch
    if fault == "one row":
        model.set_params(batch_size=1)
    elif dist.get_rank() == dist.get_world_size() - 1:
        if fault == "parameter":
            model.set_params(n_layers=-1)
        elif fault == "other parameter":
            model.set_params(n_layers=1)
        elif fault == "other values":
            X["f1"] += "!"
        elif fault == "other labels":
            y[:10] = 1 - y[:10]
        elif fault == "fewer rows":
            X, y = X[:-1], y[:-1]
        elif fault == "disk":
            EpochReporter.end_epoch = _lose_disk
        elif fault == "killed":
            EpochReporter.end_epoch = _kill
    started = time.monotonic()
    try:
        model.fit(X, y)
    except Exception as error:
        return type(error), str(error), time.monotonic() - started, hasattr(model, "classes_")
    finally:
        EpochReporter.end_epoch = end_epoch
    return None


def _lose_disk(*_):
    raise OSError("the disk is full")


def _kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def fit_in_two_threads():
    """Return the error of a fit while another runs in the same process."""
    inside, go_on = threading.Event(), threading.Event()
    begin_epoch = EpochReporter.begin_epoch

    def wait_and_begin(reporter, net):
        inside.set()
        go_on.wait(GROUP_SECONDS)
        begin_epoch(reporter, net)

    EpochReporter.begin_epoch = wait_and_begin
    thread = threading.Thread(target=lambda: clone(DYNINT).fit(CLICKS.X, CLICKS.y))
    thread.start()
    try:
        inside.wait(GROUP_SECONDS)
        clone(DYNINT).fit(CLICKS.X, CLICKS.y)
    except ValueError as error:
        return str(error)
    finally:
        go_on.set()
        thread.join()
        EpochReporter.begin_epoch = begin_epoch
    return None
