"""Use an installed wheel as a new user would: fit, predict, store, without any extra."""

import pickle

import numpy as np

import sparsectr
from sparsectr.datasets import load_flights


def main():
    X, y = load_flights(return_X_y=True)
    X, y = X[:3_000], y[:3_000]
    for cls in (sparsectr.DynIntClassifier, sparsectr.ProfitClassifier, sparsectr.DynIntRegressor):
        model = cls(max_epochs=1, embedding_dim=4, random_state=0).fit(X, y)
        again = pickle.loads(pickle.dumps(model))
        method = "predict" if cls is sparsectr.DynIntRegressor else "predict_proba"
        expected = getattr(model, method)(X[:100])
        np.testing.assert_array_equal(getattr(again, method)(X[:100]), expected)
        found = again.compile_predictor()(X.iloc[0].to_dict())
        np.testing.assert_allclose(found, expected[0], atol=1e-6)
        print(f"{cls.__name__} of sparsectr {sparsectr.__version__}: {len(X):,} rows, no fault")


if __name__ == "__main__":
    main()
