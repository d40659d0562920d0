"""How many files of the package one step of training runs through, and one prediction."""

import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import sparsectr
from sparsectr.datasets import make_clicks
from sparsectr.kernels.fused import fused_kernels
from sparsectr.training import loop, task
from sparsectr.training.prediction import predict_logits
from sparsectr.training.recording import RecordedStep
from tests.public import CLASSIFIERS

pytest.importorskip("numba", reason="counts the way through fused code")

PACKAGE = Path(sparsectr.__file__).parent
# By phase: files in all, and of these outside `kernels`. What they are, and why they are no fewer:
# docs/decisions.md.
STEPS = {
    ("DynIntClassifier", "train"): (22, 10),
    ("OptFeatureClassifier", "search"): (26, 14),
    ("OptFeatureClassifier", "retrain"): (23, 11),
    ("ProfitClassifier", "search"): (24, 14),
    ("ProfitClassifier", "retrain"): (23, 11),
}
# From a table to probabilities, and of these from codes on.
PREDICTIONS = {
    "DynIntClassifier": (17, 6),
    "OptFeatureClassifier": (20, 9),
    "ProfitClassifier": (17, 6),
}
# A step in which the state of all optimizers has been made.
COUNTED_STEP = 3


@contextmanager
def entered_files():
    """Yield the set of files of the package in which a function is entered within the block.

    Functions that numba has compiled report themselves, too; they are left out.
    """
    found, compiled = set(), compiled_code()

    def enter(frame, event, _):
        path = Path(frame.f_code.co_filename)
        if event == "call" and frame.f_code not in compiled and PACKAGE in path.parents:
            found.add(path.relative_to(PACKAGE).as_posix())

    before = sys.getprofile()
    sys.setprofile(enter)
    try:
        yield found
    finally:
        sys.setprofile(before)


def compiled_code():
    modules = [m for name, m in sys.modules.items() if name.startswith("sparsectr.kernels.cpu.")]
    values = [value for module in modules for value in vars(module).values()]
    return {value.py_func.__code__ for value in values if hasattr(value, "py_func")}


@pytest.fixture(scope="module")
def clicks():
    return make_clicks(2000, random_state=0)


@pytest.fixture(scope="module", params=CLASSIFIERS, ids=lambda cls: cls.__name__)
def counted(request, clicks):
    """A classifier fitted with default settings, and the files of a step of each phase."""
    phases, found = [], {}

    def note_phase(*args, phase="train", **options):
        phases.append(phase)
        return loop.run_epochs(*args, phase=phase, **options)

    class CountedStep(RecordedStep):
        n_calls = 0

        @contextmanager
        def epoch(self):
            with super().epoch() as take_step:

                def count(*batches):
                    self.n_calls += 1
                    if self.n_calls != COUNTED_STEP:
                        return take_step(*batches)
                    with entered_files() as files:
                        loss = take_step(*batches)
                    found[phases[-1]] = found.get(phases[-1], set()) | files
                    return loss

                yield count

    with pytest.MonkeyPatch.context() as patch, fused_kernels(True):
        patch.setattr(task, "run_epochs", note_phase)
        patch.setattr(loop, "RecordedStep", CountedStep)
        classifier = request.param(random_state=0, batch_size=256, max_epochs=2)
        classifier.fit(clicks.X, clicks.y)
    return classifier, found


def test_a_step_of_training(counted):
    classifier, found = counted
    name = type(classifier).__name__
    assert found.keys() == {phase for of, phase in STEPS if of == name}
    for phase, files in found.items():
        outside = [file for file in files if not file.startswith("kernels/")]
        most, most_outside = STEPS[name, phase]
        # The step, the net, the descent and an optimizer at least.
        assert 4 <= len(outside) <= most_outside, sorted(outside)
        assert len(files) <= most, sorted(files)


def test_a_prediction(counted, clicks):
    classifier, _ = counted
    most, most_from_codes = PREDICTIONS[type(classifier).__name__]
    codes = torch.from_numpy(classifier.encoder_.transform(clicks.X[:100]))
    net = classifier._fitted_net()
    with fused_kernels(True):
        classifier.predict_proba(clicks.X[:100])  # what is made once is made here
        with entered_files() as files:
            classifier.predict_proba(clicks.X[:100])
        with entered_files() as from_codes:
            predict_logits(net, codes)
    assert 2 <= len(from_codes) <= most_from_codes, sorted(from_codes)
    assert len(files) <= most, sorted(files)


def test_compiled_functions_are_not_counted(counted):
    # Numba reports their calls like those of Python functions.
    assert any(code.co_name == "_adagrad_part" for code in compiled_code())
