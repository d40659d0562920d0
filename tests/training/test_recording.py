"""Steps that a GPU repeats: the same training as steps launched one by one."""

import numpy as np
import pytest
import torch

from sparsectr import DynIntClassifier, OptFeatureClassifier, ProfitClassifier
from sparsectr.training import recording
from sparsectr.training.recording import WARM_UP_CALLS, RecordedStep

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_on_a_cpu_a_step_is_called_as_it_is():
    seen = []

    def step(*batches):
        seen.append(batches)
        return torch.tensor(float(len(seen)))

    recorded = RecordedStep(step, torch.device("cpu"))
    batches = [(torch.arange(n), torch.arange(1)) for n in (3, 3, 2, 3, 3, 3)]
    with recorded.epoch():
        losses = [float(recorded(*some)) for some in batches]
    assert losses == [1, 2, 3, 4, 5, 6]
    assert all(
        a is b
        for got, given in zip(seen, batches, strict=True)
        for a, b in zip(got, given, strict=True)
    )
    assert recorded.n_recordings == 0


class Accumulator:
    """A step that adds noise and the rows' values times a rate to a total."""

    def __init__(self, device):
        self.values = torch.arange(10.0, device=device)
        self.total = torch.zeros((), device=device)
        self.generator = torch.Generator(device).manual_seed(0)
        self.rate, self.calls = 1.0, 0

    def __call__(self, rows, *beside):
        self.calls += 1
        noise = torch.rand(len(rows), generator=self.generator, device=rows.device)
        self.total += self.rate * (self.values[rows] + noise).sum()
        for some_rows in beside:
            self.total -= self.values[some_rows].sum()
        return self.total.clone()


@needs_gpu
def test_a_recorded_step_repeats_its_work_on_new_batches():
    steps = [Accumulator("cuda") for _ in range(2)]
    plain, recorded = (
        RecordedStep(step, torch.device(device), [step.generator])
        for step, device in zip(steps, ("cpu", "cuda"), strict=True)
    )
    generator = torch.Generator("cuda").manual_seed(1)
    for number in range(40):
        n_rows, n_batches = 3 + number % 2, 1 + number // 20
        batches = [
            torch.randint(10, (n_rows,), generator=generator, device="cuda")
            for _ in range(n_batches)
        ]
        if number == 30:
            steps[0].rate = steps[1].rate = 0.5
            recorded.forget()
        with recorded.epoch():
            loss = recorded(*batches)
        assert torch.equal(loss, plain(*batches))
    assert recorded.n_recordings == 2
    assert steps[0].calls == 40
    # With one batch, with two, and after what was forgotten: warm-up, and two sizes recorded.
    assert steps[1].calls == 3 * (WARM_UP_CALLS + 2)


@needs_gpu
def test_a_step_that_cannot_be_recorded_is_called_as_it_is():
    step = Accumulator("cuda")

    def reads(rows):
        return step(rows) if float(step.total) >= 0 else step.total

    recorded = RecordedStep(reads, torch.device("cuda"), [step.generator])
    with recorded.epoch():
        for _ in range(10):
            recorded(torch.arange(4, device="cuda"))
    assert recorded.n_recordings == 0
    expected = Accumulator("cuda")
    for _ in range(10):
        expected(torch.arange(4, device="cuda"))
    assert torch.equal(step.total, expected.total)


ESTIMATORS = [
    *(DynIntClassifier(variant=variant) for variant in ("pin", "da", "dgp", "dwp")),
    DynIntClassifier(optimizer="adam", orthogonal_penalty=0.1, variant="dwp"),
    *(ProfitClassifier(search=search, max_order=2) for search in ("progressive", "random")),
    ProfitClassifier(predictor="mlp", dropout=0.2, max_order=2),
    *(OptFeatureClassifier(granularity=g) for g in ("field", "value", "hybrid")),
    OptFeatureClassifier(optimizer="adam", dropout=0.2),
    ProfitClassifier(coupling="stacked", max_order=3),
    OptFeatureClassifier(search="joint"),
]


@needs_gpu
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_recorded_steps_train_the_same_net(estimator, monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.integers(6, size=(3000, 4))
    y = (X[:, 0] == X[:, 1]).astype(int)
    recordings = []
    record = RecordedStep._record

    def spy(self, batches):
        recordings.append(record(self, batches))
        return recordings[-1]

    monkeypatch.setattr(RecordedStep, "_record", spy)
    estimator.set_params(device="cuda", batch_size=128, max_epochs=4, random_state=0)
    recorded = estimator.fit(X[:2000], y[:2000]).predict_proba(X[2000:])
    n_recordings = len(recordings)
    assert n_recordings > 0
    assert None not in recordings
    monkeypatch.setattr(recording, "WARM_UP_CALLS", 10**9)
    one_by_one = estimator.fit(X[:2000], y[:2000]).predict_proba(X[2000:])
    assert len(recordings) == n_recordings
    np.testing.assert_array_equal(recorded, one_by_one)
