"""The estimator contract: what scikit-learn's checks leave out."""

import gc
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from public import CLASSIFIERS
from scipy.special import expit
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_dataframe_column_names_consistency

from sparsectr import DynIntClassifier, FieldEncoder, ProfitClassifier, UnknownValuesWarning
from sparsectr.early_stopping import make_schedule
from sparsectr.methods.dynint.net import DynIntConfig, DynIntNet
from sparsectr.targets.classes import ClassTarget
from sparsectr.training.prediction import predict_logits, to_probabilities
from sparsectr.training.prior import MOST_L2_OF_FEW
from sparsectr.training.task import TrainingTask

RNG = np.random.default_rng(0)
CODES = RNG.integers(0, 6, size=(240, 3))
FRAME = pd.DataFrame(CODES, columns=["city", "shop", "day"]).astype(str)
Y = (CODES[:, 0] == CODES[:, 1]).astype(int)


def make(**parameters):
    small = {"max_epochs": 2, "embedding_dim": 4, "random_state": 0}
    return DynIntClassifier(**(small | parameters))


def make_full_batch(**parameters):
    """One batch per epoch, and codes that do not depend on frequencies."""
    encoder = FieldEncoder(hash_buckets=50)
    return make(
        max_epochs=5, batch_size=10_000, early_stopping=False, encoder=encoder, **parameters
    )


@pytest.fixture(scope="module")
def model():
    return make().fit(FRAME, Y)


# Tables ----------------------------------------------------------------------------------


def test_column_names():
    check_dataframe_column_names_consistency("DynIntClassifier", make())


@pytest.mark.parametrize(
    "wrong",
    [
        FRAME[["shop", "city", "day"]],
        FRAME[["city", "shop"]],
        FRAME.rename(columns={"day": "date"}),
        FRAME.assign(more="x"),
    ],
    ids=["permuted", "missing", "renamed", "added"],
)
def test_other_columns_are_refused(model, wrong):
    with pytest.raises(ValueError, match="feature names"):
        model.predict_proba(wrong)
    with pytest.raises(ValueError, match="feature names"):
        make().fit(FRAME, Y, X_val=wrong, y_val=Y)


STRINGS = FRAME.to_numpy(dtype=object)


@pytest.mark.parametrize("ask", ["predict_proba", "predict", "explain"])
def test_a_table_without_names_is_warned_of_once(model, ask):
    with pytest.warns(UserWarning, match="does not have valid feature names") as caught:
        getattr(model, ask)(STRINGS)
    assert len(caught) == 1


@pytest.mark.parametrize(
    "table",
    [
        FRAME.astype("str"),
        FRAME.astype(object),
        FRAME.astype("category"),
        pl.DataFrame({name: FRAME[name].tolist() for name in FRAME}),
        STRINGS,
        STRINGS.astype(str),
        STRINGS.tolist(),
    ],
    ids=["str", "object", "category", "polars", "array of object", "array of str", "list"],
)
def test_the_container_does_not_matter(model, table):
    found = make().fit(table, Y).predict_proba(table)
    np.testing.assert_array_equal(found, model.predict_proba(FRAME))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int32])
def test_integers_and_codes_do_as_well_as_strings(model, dtype):
    expected = model.predict_proba(FRAME)
    for table in (CODES.astype(dtype), FieldEncoder().fit_transform(FRAME).astype(dtype)):
        np.testing.assert_array_equal(make().fit(table, Y).predict_proba(table), expected)


def test_global_output_setting_does_not_reach_the_encoder(model):
    with sklearn.config_context(transform_output="pandas"):
        found = make(encoder=FieldEncoder().set_output(transform="pandas")).fit(FRAME, Y)
        np.testing.assert_array_equal(found.predict_proba(FRAME), model.predict_proba(FRAME))


# Labels and weights ----------------------------------------------------------------------


@pytest.mark.parametrize("values", [["no", "yes"], [False, True], [3, 7], [-1.0, 1.0]])
@pytest.mark.parametrize("dtype", [None, object])
def test_binary_labels_of_any_type(model, values, dtype):
    labels = np.array(values, dtype=dtype)
    found = make().fit(FRAME, labels[Y])
    assert found.classes_.tolist() == values
    np.testing.assert_array_equal(found.predict_proba(FRAME), model.predict_proba(FRAME))
    np.testing.assert_array_equal(found.predict(FRAME), labels[model.predict(FRAME)])


def test_more_than_two_classes():
    labels = np.array(["a", "b", "c"])[CODES[:, 0] % 3]
    found = make(max_epochs=15, learning_rate=0.02).fit(FRAME, labels)
    probabilities = found.predict_proba(FRAME)
    assert probabilities.shape == (240, 3)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-14)
    assert found.score(FRAME, labels) > 0.95


def make_plain_descent(tables, others, *args, **kwargs):
    return [torch.optim.SGD([*tables, *others], lr=0.5)]


@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: 3.0}])
def test_integer_weights_are_repeated_rows(class_weight, monkeypatch):
    # Adam turns the rounding of a gradient near zero into a step of full length.
    monkeypatch.setattr("sparsectr.methods.dynint.estimator.make_optimizers", make_plain_descent)
    counts = np.random.default_rng(0).integers(0, 4, size=240)
    counts[:60] = 1  # every value keeps a row
    rows = np.repeat(np.arange(240), counts)
    models = [make_full_batch(class_weight=class_weight) for _ in range(3)]
    models[0].fit(FRAME, Y, sample_weight=counts)
    models[1].fit(FRAME.iloc[rows], Y[rows])
    models[2].fit(FRAME, Y)
    unseen = pd.concat([FRAME, FRAME.assign(city=None)])
    weighted, repeated, plain = (model.predict_proba(unseen) for model in models)
    np.testing.assert_allclose(weighted, repeated, rtol=0, atol=1e-6)
    assert np.abs(weighted - plain).max() > 1e-3


def test_only_the_proportions_of_weights_matter():
    weights = RNG.random(240)
    first = make().fit(FRAME, Y, sample_weight=weights)
    second = make().fit(FRAME, Y, sample_weight=4 * weights)
    np.testing.assert_array_equal(first.predict_proba(FRAME), second.predict_proba(FRAME))
    plain = make().fit(FRAME, Y)
    assert not np.array_equal(first.predict_proba(FRAME), plain.predict_proba(FRAME))
    same = make().fit(FRAME, Y, sample_weight=np.full(240, 0.5))
    np.testing.assert_array_equal(same.predict_proba(FRAME), plain.predict_proba(FRAME))


def test_class_weight_is_the_same_as_row_weights():
    by_class = make(class_weight={0: 1.0, 1: 5.0}).fit(FRAME, Y)
    by_row = make().fit(FRAME, Y, sample_weight=np.where(Y, 5.0, 1.0))
    np.testing.assert_array_equal(by_class.predict_proba(FRAME), by_row.predict_proba(FRAME))


def test_few_rows_with_weight_still_leave_validation_rows_with_weight():
    weights = np.zeros(240)
    weights[:30] = 1
    model = make(early_stopping=True).fit(FRAME, Y, sample_weight=weights)
    assert np.isfinite([record["validation_log_loss"] for record in model.history_]).all()


# Validation, early stopping, history -----------------------------------------------------


def test_best_epoch_is_kept():
    noise = RNG.integers(0, 2, size=240)
    model = make(max_epochs=40, learning_rate=0.05, n_iter_no_change=4)
    model.fit(FRAME.iloc[:160], noise[:160], X_val=FRAME.iloc[160:], y_val=noise[160:])
    losses = [record["validation_log_loss"] for record in model.history_]
    areas = [record["validation_roc_auc"] for record in model.history_]
    # Not the loss: the intercept has moved since, and all effects have shrunk.
    area = roc_auc_score(noise[160:], model.predict_proba(FRAME.iloc[160:])[:, 1])
    assert area == pytest.approx(areas[np.argmin(losses)], abs=1e-6)
    # A gain that counts as none may come late, and its weights are kept, too.
    assert 0 <= model.n_iter_ - (np.argmin(losses) + 1) <= 4
    assert len(losses) == model.n_iter_ < 40


def test_weights_of_validation_rows_are_repeated_rows():
    counts = RNG.integers(1, 4, size=80)
    rows = np.repeat(np.arange(160, 240), counts)
    train = (FRAME.iloc[:160], Y[:160])
    one = make().fit(*train, X_val=FRAME.iloc[160:], y_val=Y[160:], sample_weight_val=counts)
    two = make().fit(*train, X_val=FRAME.iloc[rows], y_val=Y[rows])
    for first, second in zip(one.history_, two.history_, strict=True):
        for name in ("validation_log_loss", "validation_roc_auc"):
            assert first[name] == pytest.approx(second[name], rel=1e-6)


@pytest.mark.parametrize("given", [{"X_val": FRAME}, {"y_val": Y}, {"sample_weight_val": Y}])
def test_validation_rows_come_with_labels(given):
    with pytest.raises(ValueError, match="X_val and y_val must be passed together"):
        make().fit(FRAME, Y, **given)


@pytest.mark.parametrize("time_column", [None, "when", 3])
def test_the_last_rows_may_be_the_validation_rows(time_column):
    frame, y, last = FRAME.assign(when=np.arange(240) // 10), Y, np.arange(240) >= 192
    if time_column is not None:
        rows = RNG.permutation(240)
        frame, y = frame.iloc[rows], y[rows]
        last = frame["when"].to_numpy() >= 19  # the rows of one time stay together
    told = {"early_stopping": True, "encoder": FrozenEstimator(FieldEncoder().fit(frame))}
    model = make(validation="last", time_column=time_column, validation_fraction=0.2, **told)
    model.fit(frame, y)
    alone = make(**told).fit(frame[~last], y[~last], X_val=frame[last], y_val=y[last])
    assert model.history_ == alone.history_
    np.testing.assert_array_equal(model.predict_proba(frame), alone.predict_proba(frame))


@pytest.mark.usefixtures("routing")
def test_no_validation_group_is_trained_on():
    """A value of a group that is set apart has no row of training."""
    groups = np.arange(240) // 24
    frame = FRAME.assign(group=[f"g{group}" for group in groups])
    final = make(early_stopping=True).set_fit_request(validation_groups=True)
    model = make_pipeline(final).fit(frame, Y, validation_groups=groups)[-1]
    sizes = model.encoder_.vocabulary_sizes_
    counts = model._build_net(copy=True).embedding.past_counts()[sizes[:-1].sum() + 2 :]
    assert sorted(counts.tolist()) == pytest.approx([0.0, *[24.0] * 9], rel=1e-2)


def test_zero_weights_do_not_shift_groups_and_times():
    weights = np.ones(240)
    weights[:120] = 0
    model = make(early_stopping=True, validation="last", validation_fraction=0.25)
    frozen = FrozenEstimator(FieldEncoder().fit(FRAME))
    model.set_params(encoder=frozen).fit(FRAME, Y, sample_weight=weights)
    alone = make(encoder=frozen)
    alone.fit(FRAME[120:210], Y[120:210], X_val=FRAME[210:], y_val=Y[210:])
    np.testing.assert_array_equal(model.predict_proba(FRAME), alone.predict_proba(FRAME))


@pytest.mark.parametrize(
    ("parameters", "groups", "message"),
    [
        ({"validation": "first"}, None, "validation must be one of 'random', 'last'"),
        ({"time_column": 1.5}, None, "time_column must be an int"),
        ({"validation": "last", "time_column": "hour"}, None, "time_column must name fields"),
        ({"validation": "last"}, CODES[:, 0], "validation_groups must be None where"),
        ({}, CODES[:9, 0], "validation_groups .* 240"),
        ({"early_stopping": True}, np.zeros(240, int), "at least two groups, got one"),
    ],
)
def test_validation_that_cannot_be(parameters, groups, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(FRAME, Y, validation_groups=groups)


# The mean prediction ----------------------------------------------------------------------


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_rare_positives_and_a_nearly_unique_column(cls):
    """One row in 150 is positive, and every second row has an id of its own."""
    rng = np.random.default_rng(0)
    n, n_train = 30_000, 15_000
    X = pd.DataFrame(rng.integers(0, 20, (n, 3)), columns=list("abc")).assign(
        id=rng.integers(0, n, n)
    )
    log_odds = -5.8 + (X["a"] % 3 == 0) + 0.8 * ((X["b"] + X["c"]) % 2)
    true = expit(log_odds.to_numpy(dtype=float))
    y = rng.random(n) < true
    model = cls(random_state=0).fit(X[:n_train], y[:n_train])
    predicted, share = model.predict_proba(X)[:, 1], y[:n_train].mean()
    assert predicted[:n_train].mean() == pytest.approx(share, rel=0.05)

    def expected_loss(p):
        return -np.mean(true[n_train:] * np.log(p) + (1 - true[n_train:]) * np.log(1 - p))

    assert expected_loss(predicted[n_train:]) < expected_loss(share)


@pytest.mark.parametrize("cls", CLASSIFIERS)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("monitor", ["log_loss", "roc_auc"])
def test_weighted_mean_predictions_are_the_weighted_shares(cls, n_classes, monitor):
    rng = np.random.default_rng(1)
    labels = np.where(CODES[:, 1] == 2, 0, CODES[:, 0]) % n_classes
    weights = rng.exponential(size=240) * np.array([1.0, 4.0, 0.5])[labels]
    rows = {"X_val": FRAME[:80], "y_val": labels[:80]}  # so that training rows are known
    model = cls(max_epochs=3, monitor=monitor, class_weight={1: 3.0}, random_state=0)
    weights[-40:] = 0
    for _ in range(2):  # the second time goes on with the fitted net
        model.fit(FRAME, labels, sample_weight=weights, **rows).set_params(warm_start=True)
        in_loss = weights * np.where(labels == 1, 3.0, 1.0)
        shares = np.bincount(labels, in_loss) / in_loss.sum()
        means = in_loss @ model.predict_proba(FRAME) / in_loss.sum()
        np.testing.assert_allclose(means, shares, rtol=0.01)


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_a_chunk_of_one_class_does_not_set_the_mean(cls):
    model = cls(max_epochs=3, random_state=0).fit(FRAME, Y)
    before = model.predict_proba(FRAME)[:, 1].mean()
    positive = Y == 1
    model.partial_fit(FRAME[positive][:8], Y[positive][:8])
    assert model.predict_proba(FRAME)[:, 1].mean() < before + 0.1


@pytest.mark.parametrize("cls", CLASSIFIERS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_intercept_of_a_net_is_added_to_all_logits(cls, n_classes):
    model = cls(max_epochs=1, random_state=0).fit(FRAME, CODES[:, 0] % n_classes)
    net, codes = model._fitted_net(), torch.from_numpy(model.encoder_.transform(FRAME))
    before = predict_logits(net, codes)
    shift = torch.arange(1.0, len(net.intercept) + 1)
    with torch.no_grad():
        net.intercept.add_(shift)
    np.testing.assert_allclose(
        predict_logits(net, codes) - before, shift.expand(240, -1), atol=1e-5
    )


@pytest.mark.parametrize("cls", CLASSIFIERS)
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("variant", [{}, {"predictor": "mlp"}, {"variant": "dgp"}])
def test_all_logits_are_linear_in_the_output_weights(cls, n_classes, variant):
    if not set(variant) <= set(cls().get_params()):
        pytest.skip("not a parameter of this method")
    model = cls(max_epochs=1, random_state=0, **variant).fit(FRAME, CODES[:, 0] % n_classes)
    net, codes = model._fitted_net(), torch.from_numpy(model.encoder_.transform(FRAME))
    intercept = net.intercept.detach().numpy()
    before = predict_logits(net, codes) - intercept
    with torch.no_grad():
        for weight in net.output_weights:
            weight *= 0.25
    after = predict_logits(net, codes) - intercept
    np.testing.assert_allclose(after, 0.25 * before, atol=1e-5)


def test_area_under_the_curve():
    model = make(monitor="roc_auc", early_stopping=True, n_iter_no_change=1, max_epochs=30)
    model.fit(FRAME, Y)
    values = [record["validation_roc_auc"] for record in model.history_]
    assert model.n_iter_ == np.argmax(values) + 2 or model.n_iter_ == 30


@pytest.mark.parametrize("n_positive", [1, 2])
def test_validation_rows_of_one_class_fall_back_to_log_loss(n_positive):
    labels = np.zeros(240, dtype=int)
    labels[:n_positive] = 1
    model = make(monitor="roc_auc", early_stopping=True, validation_fraction=0.05)
    model.fit(FRAME, labels)
    assert all("validation_log_loss" in record for record in model.history_)


@pytest.mark.parametrize(
    ("early_stopping", "n_rows", "stopping"),
    [("auto", 499, False), ("auto", 500, True), (True, 100, True), (False, 600, False)],
)
def test_when_to_stop_early(early_stopping, n_rows, stopping):
    rows = np.arange(n_rows) % 240
    model = make(early_stopping=early_stopping).fit(FRAME.iloc[rows], Y[rows])
    assert model.early_stopping_ is stopping
    assert ("validation_log_loss" in model.history_[0]) is stopping
    assert model.n_iter_ == len(model.history_) == 2
    assert {"phase", "epoch", "train_loss"} <= set(model.history_[0])


def test_given_validation_rows_stop_early_and_false_only_watches():
    given = {"X_val": FRAME, "y_val": Y}
    assert make().fit(FRAME, Y, **given).early_stopping_ is True
    watched = make(early_stopping=False).fit(FRAME, Y, **given)
    assert watched.early_stopping_ is False
    assert "validation_log_loss" in watched.history_[0]


def choose_batch_size(model, values):
    target = ClassTarget(np.array([0, 1]))
    return make_schedule(model, target, values, None, False, False).batch_size


def test_automatic_batch_size_grows_with_the_rows(model):
    sizes = [
        choose_batch_size(model, np.arange(n_rows) % 2)
        for n_rows in (500, 10_000, 100_000, 1_000_000, 10_000_000)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] == 32
    assert sizes[-1] == 4096
    assert make(batch_size=77).fit(FRAME, Y).batch_size_ == 77


@pytest.mark.parametrize(
    ("n_rows", "n_positive", "expected"),
    [
        (12_800, 6_400, 32),
        (12_800, 100, 128),  # one in 128
        (12_800, 12_700, 128),  # either class may be rare
        (12_800, 1, 512),  # but an epoch has some thirty steps
        (12_800, 0, 32),
        (1_280_000, 1_280, 4096),  # the number of rows asks for more
    ],
)
def test_automatic_batches_hold_a_row_of_a_rare_class(model, n_rows, n_positive, expected):
    values = (np.arange(n_rows) < n_positive).astype(np.float32)
    assert choose_batch_size(model, values) == expected


@pytest.mark.parametrize(("cls", "usual"), [(DynIntClassifier, 1e-3), (ProfitClassifier, 1e-4)])
def test_the_automatic_prior_does_not_fade_with_few_rows(cls, usual):
    fits = [
        cls(max_epochs=1, early_stopping=False, random_state=0, **l2).fit(FRAME, Y)
        for l2 in ({}, {"embedding_l2": MOST_L2_OF_FEW}, {"embedding_l2": usual})
    ]
    assert fits[0].embedding_l2_ == MOST_L2_OF_FEW
    automatic, strong, weak = (clf.predict_proba(FRAME) for clf in fits)
    assert np.array_equal(automatic, strong)
    assert not np.array_equal(automatic, weak)


# Randomness ------------------------------------------------------------------------------


def test_same_seed_same_bits(model):
    expected = model.predict_proba(FRAME)
    again = make().fit(FRAME, Y)
    assert (again.predict_proba(FRAME) == expected).all()
    assert (again.fit(FRAME, Y).predict_proba(FRAME) == expected).all()  # forgets the past
    assert again.selected_interactions_ == model.selected_interactions_
    assert not (make(random_state=1).fit(FRAME, Y).predict_proba(FRAME) == expected).all()


def test_random_state_instances_go_on():
    source = np.random.RandomState(5)
    first, second = (make(random_state=source).fit(FRAME, Y) for _ in range(2))
    again = make(random_state=np.random.RandomState(5)).fit(FRAME, Y)
    np.testing.assert_array_equal(first.predict_proba(FRAME), again.predict_proba(FRAME))
    assert not np.array_equal(first.predict_proba(FRAME), second.predict_proba(FRAME))


def test_fits_do_not_import_the_compiler_of_torch():
    code = (
        "import sys; from sparsectr import DynIntClassifier, OptFeatureClassifier; "
        "from sparsectr.datasets import make_clicks; "
        "clicks = make_clicks(200, 3, 4, crosses=[(0, 1)], random_state=0); "
        "settings = {'max_epochs': 1, 'random_state': 0}; "
        "DynIntClassifier(**settings).fit(clicks.X, clicks.y); "
        "OptFeatureClassifier(hidden_units=(400, 400), **settings).fit(clicks.X, clicks.y); "
        "print([name for name in ('sympy', 'torch._dynamo') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("random_state", [None, 0])
def test_global_state_is_left_alone(random_state):
    numpy_before = np.random.get_state()  # noqa: NPY002
    torch_before = torch.random.get_rng_state()
    threads = torch.get_num_threads()
    model = make(random_state=random_state, early_stopping=True).fit(FRAME, Y)
    model.partial_fit(FRAME, Y)
    model.predict_proba(FRAME)
    numpy_after = np.random.get_state()  # noqa: NPY002
    for before, after in zip(numpy_before, numpy_after, strict=True):
        np.testing.assert_array_equal(before, after)
    assert torch.equal(torch.random.get_rng_state(), torch_before)
    assert torch.get_num_threads() == threads


# All or nothing --------------------------------------------------------------------------


class Interrupt:
    """A callback that presses Ctrl-C at the end of the second epoch."""

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id == 1:
            raise KeyboardInterrupt


def test_an_interrupted_fit_leaves_the_model_before():
    pytest.importorskip("sklearn.callback")
    model = make().set_callbacks(Interrupt())
    with pytest.raises(KeyboardInterrupt):
        model.fit(FRAME, Y)
    assert not [name for name in vars(model) if name.endswith("_")]
    model.set_callbacks().fit(FRAME, Y).set_callbacks(Interrupt())
    before, state = model.predict_proba(FRAME), dict(vars(model))
    with pytest.raises(KeyboardInterrupt):
        model.fit(FRAME.assign(city="new"), 1 - Y)
    assert vars(model) == state
    np.testing.assert_array_equal(model.predict_proba(FRAME), before)


@pytest.mark.parametrize(
    ("method", "last"),
    [
        ("fit", "_store_net"),
        ("fit", "_measure"),
        ("fit", "_train_net"),
        ("partial_fit", "_store_net"),
        ("partial_fit", "_measure_stream"),
        ("partial_fit", "_train_net"),
    ],
)
def test_an_interrupted_continuation_changes_nothing(monkeypatch, method, last):
    model = make(warm_start=True).fit(FRAME, Y)
    before, state = model.predict_proba(FRAME), dict(vars(model))
    original = getattr(DynIntClassifier, last)

    def train_then_fail(self, *args, **kwargs):
        original(self, *args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(DynIntClassifier, last, train_then_fail)
    with pytest.raises(KeyboardInterrupt):
        getattr(model, method)(FRAME, Y)
    assert vars(model).keys() == state.keys()
    np.testing.assert_array_equal(model.predict_proba(FRAME), before)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_bad_data_in_a_continuation_change_nothing(method):
    model = make(warm_start=True).fit(FRAME, Y)
    before = model.predict_proba(FRAME)
    for rows, labels in ((FRAME, Y + 1), (FRAME, Y[:-1]), (FRAME[["shop"]], Y), (FRAME[:0], Y[:0])):
        with pytest.raises(ValueError, match=r".+"):
            getattr(model, method)(rows, labels)
    np.testing.assert_array_equal(model.predict_proba(FRAME), before)


def test_a_failed_first_fit_leaves_no_model():
    model = make()
    with pytest.raises(ValueError, match="at least two classes"):
        model.fit(FRAME, np.zeros(240))
    assert vars(model) == vars(make())


@pytest.mark.parametrize("early_stopping", [True, False])
def test_divergence_names_the_learning_rate(early_stopping):
    model = make(learning_rate=1e12, early_stopping=early_stopping, max_epochs=20)
    with pytest.raises(ValueError, match="learning_rate"):
        model.fit(FRAME, Y)
    assert not model.__sklearn_is_fitted__()


# Going on --------------------------------------------------------------------------------


def test_warm_start_goes_on():
    model = make(warm_start=True).fit(FRAME, Y)
    sizes, first = model.encoder_.vocabulary_sizes_, model.history_
    changed = FRAME.assign(city="new")
    model.fit(changed, Y)
    assert model.encoder_.vocabulary_sizes_.tolist() == sizes.tolist()
    assert model.history_[:2] == first
    assert model.n_iter_ == len(model.history_) == 4
    assert model.fit(FRAME, Y).n_iter_ == 6


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_going_on_takes_no_other_net(method):
    model = make(warm_start=True).fit(FRAME, Y)
    before, made_with = model.predict_proba(FRAME), model.get_params()
    model.set_params(embedding_dim=2 * made_with["embedding_dim"])
    with pytest.raises(ValueError, match=r"embedding_dim must stay .* warm_start=False"):
        getattr(model, method)(FRAME, Y)
    np.testing.assert_array_equal(model.predict_proba(FRAME), before)
    getattr(model.set_params(**made_with), method)(FRAME, Y)
    model.set_params(embedding_dim=2, warm_start=False).fit(FRAME, Y)
    assert model._net_state["embedding.weight"].shape[1] == 2


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_parameters_of_the_net_are_parameters(cls):
    assert "embedding_dim" in cls._net_parameters
    assert set(cls._net_parameters) <= set(cls().get_params())


def test_partial_fit_in_chunks():
    model = make(learning_rate=0.02)
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(FRAME, Y)
    for epoch in range(20):
        for start in range(0, 240, 60):
            classes = [1, 0] if epoch == start == 0 else None
            rows = slice(start, start + 60)
            model.partial_fit(FRAME.iloc[rows], Y[rows], classes=classes)
    assert model.n_iter_ == 80
    assert model.score(FRAME, Y) > 0.95
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        model.partial_fit(FRAME, Y, classes=[0, 2])


def test_partial_fit_keeps_the_vocabulary_and_reads_new_values_as_unknown(model):
    going = make().fit(FRAME, Y)
    new = FRAME.assign(city="never")
    going.partial_fit(new, Y)
    assert going.encoder_.unknown_share(new).tolist() == [1, 0, 0]
    assert going.encoder_.vocabulary_sizes_.tolist() == [8, 8, 8]


def test_a_chunk_leaves_values_alone_that_it_lacks():
    model = make(early_stopping=False).fit(FRAME, Y)
    table = model._net_state["embedding.weight"].copy()
    chunk = (FRAME["city"] == "0").to_numpy()
    model.partial_fit(FRAME[chunk], Y[chunk])
    code = model.encoder_.transform(FRAME[chunk])[0, 0]
    others = [c for c in range(2, 8) if c != code]
    after = model._net_state["embedding.weight"]
    np.testing.assert_array_equal(after[others], table[others])
    assert not np.array_equal(after[code], table[code])


def test_a_chunk_may_lack_a_class():
    labels = np.array(["a", "b", "c"])[CODES[:, 0] % 3]
    model = make(class_weight={"a": 1.0, "c": 2.0}).fit(FRAME, labels)
    chunk = labels == "a"
    model.partial_fit(FRAME[chunk], labels[chunk])
    assert model.predict_proba(FRAME).shape == (240, 3)


# Unseen values ---------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["predict", "predict_proba", "explain", "score"])
def test_a_field_that_has_changed_its_type_is_named_once(method):
    numbers, words = (pd.DataFrame(CODES.astype(kind), columns=list("abc")) for kind in (int, str))
    model = make().fit(numbers, Y)
    more = (Y,) if method == "score" else ()
    with pytest.warns(UnknownValuesWarning, match=r"'b' \(int in fit, str now\)") as caught:
        getattr(model, method)(numbers.assign(b=words["b"]), *more)
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_training_on_unknown_values_is_no_surprise():
    new = FRAME.assign(city="never")
    model = make(warm_start=True).fit(FRAME, Y, X_val=new, y_val=Y)
    model.fit(new, Y).partial_fit(new, Y)  # warnings are errors here


@pytest.mark.parametrize("unseen", ["never", None])
def test_an_unseen_value_predicts_like_an_average_one(unseen):
    rng = np.random.default_rng(1)
    city = rng.choice(8, size=2000, p=np.arange(1, 9) / 36)
    frame = pd.DataFrame({"city": city, "day": rng.integers(0, 3, size=2000)}).astype(str)
    odds = np.linspace(-3, 3, 8)[city]
    y = rng.random(2000) < 1 / (1 + np.exp(-odds))
    model = make(max_epochs=20, learning_rate=0.01, early_stopping=False, n_layers=1).fit(frame, y)

    def log_odds(cities):
        rows = pd.DataFrame({"city": cities, "day": "1"}, dtype=object)
        p = model.predict_proba(rows)[:, 1]
        return np.log(p / (1 - p))

    known = log_odds([str(c) for c in range(8)])
    mean = np.bincount(city) @ known / 2000
    assert np.ptp(known) > 3
    # Exact where the net is linear in the embedding; here the field enters squared as well.
    assert abs(log_odds([unseen])[0] - mean) < 0.15 * np.ptp(known)


# Predictions -----------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["pin", "da", "dgp", "dwp"])
def test_a_row_gets_the_same_result_in_any_company(variant):
    config = DynIntConfig(variant, n_layers=3, rank=2, hidden_units=40)
    net = DynIntNet([500] * 20, 16, 1, config)
    generator = torch.Generator().manual_seed(0)
    net.reset_parameters(generator)
    with torch.no_grad():
        net.embedding.weight.mul_(3)
    codes = torch.randint(500, (10_000, 20), generator=generator, dtype=torch.int32)
    with torch.no_grad():  # centred, so that rounding shows in the probabilities
        net.output.bias.sub_(float(np.median(predict_logits(net, codes))))

    def predict(rows):
        return to_probabilities(predict_logits(net, codes[rows]))[:, 1]

    everything = predict(torch.arange(10_000))
    assert everything.std() > 0.2
    order = torch.randperm(10_000, generator=generator)
    np.testing.assert_allclose(predict(order), everything[order], atol=1e-7, rtol=0)
    for rows in order[:3000].split((1, 1, 7, 64, 255, 256, 257, 1000, 1159)):
        np.testing.assert_allclose(predict(rows), everything[rows], atol=1e-7, rtol=0)


def test_predictions(model):
    probabilities = model.predict_proba(FRAME)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-15)
    np.testing.assert_array_equal(model.predict(FRAME), probabilities.argmax(1))
    assert not hasattr(model, "decision_function")


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_codes_are_held_once_while_training_searching_and_validating(cls, monkeypatch):
    held = []
    original = TrainingTask.run

    def list_codes():
        gc.collect()
        tensors = [t for t in gc.get_objects() if type(t) is torch.Tensor]
        return [t for t in tensors if t.dtype == torch.int32 and t.shape[1:] == (3,)]

    others = {id(codes) for codes in list_codes()}  # what earlier tests have not let go

    def count(self, *args, **kwargs):
        held.append([len(codes) for codes in list_codes() if id(codes) not in others])
        return original(self, *args, **kwargs)

    monkeypatch.setattr(TrainingTask, "run", count)
    cls(early_stopping=True, max_epochs=1, random_state=0).fit(FRAME, Y)
    assert held == [[240]] * len(held)
    assert held


# Company ---------------------------------------------------------------------------------


def test_grid_search_over_the_encoder():
    search = GridSearchCV(
        make(encoder=FieldEncoder()),
        {"encoder__min_frequency": [1, 1000], "variant": np.array(["pin"])},
        cv=2,
    )
    search.fit(FRAME, Y)
    sizes = search.best_estimator_.encoder_.vocabulary_sizes_
    assert search.best_estimator_.encoder.min_frequency in (1, 1000)
    assert (sizes.max() == 2) == (search.best_estimator_.encoder.min_frequency == 1000)
    scores = search.cv_results_["split0_test_score"]
    assert len(scores) == 2


def test_the_encoder_is_not_fitted_itself():
    encoder = FieldEncoder()
    model = make(encoder=encoder).fit(FRAME, Y)
    assert model.encoder is encoder
    assert not encoder.__sklearn_is_fitted__()


def test_cross_validation_and_calibration():
    found = cross_val_predict(make(), FRAME, Y, cv=2, method="predict_proba")
    assert found.shape == (240, 2)
    calibrated = CalibratedClassifierCV(make(), cv=2).fit(FRAME, Y, sample_weight=np.ones(240))
    assert calibrated.predict_proba(FRAME).shape == (240, 2)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
def test_validation_rows_through_a_pipeline():
    train, later = FRAME.iloc[:160], FRAME.iloc[160:]
    final = make(encoder=FieldEncoder()).set_fit_request(X_val=True, y_val=True)
    pipeline = make_pipeline(FieldEncoder(), final, transform_input=["X_val"])
    pipeline.fit(train, Y[:160], X_val=later, y_val=Y[160:])
    alone = make().fit(
        pipeline[0].transform(train),
        Y[:160],
        X_val=pipeline[0].transform(later),
        y_val=Y[160:],
    )
    np.testing.assert_array_equal(
        pipeline.predict_proba(FRAME), alone.predict_proba(pipeline[0].transform(FRAME))
    )
    assert "validation_log_loss" in pipeline[-1].history_[0]


@pytest.mark.usefixtures("routing")
def test_weights_through_a_grid_search():
    weights = np.where(Y, 50.0, 1.0)
    model = make().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
    search = GridSearchCV(model, {"learning_rate": [1e-3]}, cv=2)
    search.fit(FRAME, Y, sample_weight=weights)
    alone = make(learning_rate=1e-3).fit(FRAME, Y, sample_weight=weights)
    np.testing.assert_array_equal(search.predict_proba(FRAME), alone.predict_proba(FRAME))


def test_representations(model):
    assert repr(model) == "DynIntClassifier(embedding_dim=4, max_epochs=2, random_state=0)"
    html = model._repr_html_()
    assert "DynIntClassifier" in html
    assert len(html) < 200_000
    assert model._get_doc_link() == ""  # there is no site yet


# Parameters ------------------------------------------------------------------------------


def test_numbers_of_other_kinds_do_what_plain_ones_do():
    odd = {
        "embedding_dim": np.uint8(200),
        "learning_rate": Fraction(1, 100),
        "max_epochs": np.int8(1),
    }
    plain = {"embedding_dim": 200, "learning_rate": 0.01, "max_epochs": 1}
    fitted = make(**odd).fit(FRAME, Y)
    np.testing.assert_array_equal(
        fitted.predict_proba(FRAME), make(**plain).fit(FRAME, Y).predict_proba(FRAME)
    )
    given = fitted.get_params()
    assert all(given[name] is value for name, value in odd.items())


def test_memory_that_no_machine_has():
    with pytest.raises(MemoryError, match=r"the embedding table takes 960,000\.0 GB"):
        make(embedding_dim=10**13).fit(FRAME, Y)


@pytest.mark.parametrize("device", [None, "abacus", "meta", 3])
def test_devices_that_cannot_train(device):
    with pytest.raises(ValueError, match=r"device must be 'auto' or name a device .*, got "):
        make(device=device).fit(FRAME, Y)


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_certainty_of_every_row_warns(classifier):
    clf = classifier(learning_rate=10, max_epochs=1, embedding_dim=4, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"Lower learning_rate \(now 10\)"):
        clf.fit(FRAME, Y)
