"""Statistics of crosses by ONNX graphs."""

import json

import numpy as np
import pandas as pd
import pytest
from onnx_runs import run

from sparsectr import InteractionFeatures, ListedInteractions, to_onnx

N = 300
RNG = np.random.default_rng(0)


def make_frame(rng, n_cities):
    return pd.DataFrame(
        {
            "city": rng.choice([*"abcdefgh"[:n_cities], None], size=N),
            "id": rng.integers(n_cities, size=N),
            "price": np.where(rng.random(N) < 0.1, np.nan, rng.normal(size=N).round(1)),
        }
    )


X, UNSEEN = make_frame(RNG, 4), make_frame(np.random.default_rng(1), 8)
Y = (X["id"] % 2 == 0).astype(int).to_numpy()
Y3 = X["id"].to_numpy() % 3


@pytest.mark.parametrize("encoder", ["target", "count", "codes"])
@pytest.mark.parametrize("keep_original", [False, True])
@pytest.mark.parametrize("y", [Y, Y3], ids=["two classes", "three classes"])
def test_statistics_are_those_of_transform(encoder, keep_original, y):
    features = InteractionFeatures(
        ListedInteractions(max_order=3),
        encoder=encoder,
        keep_original=keep_original,
        random_state=0,
    ).fit(X, y)
    model = to_onnx(features)
    for table in (X, UNSEEN):
        for rows in (slice(1), slice(None)):
            (found,) = run(model, table[rows], "variable")
            expected = features.transform(table[rows])
            np.testing.assert_allclose(found, expected, rtol=1e-12)
    names = {prop.key: prop.value for prop in model.metadata_props}["columns"]
    assert json.loads(names) == features.get_feature_names_out().tolist()


def test_what_is_no_number_of_one_cross_is_refused():
    features = InteractionFeatures(ListedInteractions(), encoder="onehot").fit(X, Y)
    with pytest.raises(ValueError, match=r"encoder must be one of .* got 'onehot'"):
        to_onnx(features)
    features = InteractionFeatures(ListedInteractions(), encoder="count", hash_buckets=3).fit(X, Y)
    with pytest.raises(ValueError, match="a cross is hashed"):
        to_onnx(features)
