"""ONNX graphs run by onnxruntime."""

import numpy as np
import pytest

from sparsectr import onnx_inputs

onnxruntime = pytest.importorskip("onnxruntime")


def run(model, frame, *outputs):
    """Run a model on the columns of a frame."""
    return run_feeds(model, onnx_inputs(model, frame), *outputs)


def check_predictions(clf, model, table, n_rows, n_first):
    """Compare labels and probabilities of the first rows of a table, so many rows at a time."""
    expected = clf.predict_proba(table)
    for first in range(0, n_first, n_rows):
        rows = slice(first, first + n_rows)
        label, probabilities = run(model, table[rows], "label", "probabilities")
        assert probabilities.shape == (n_rows, len(clf.classes_))
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities, expected[rows], atol=1e-6)
        np.testing.assert_array_equal(label, clf.predict(table[rows]))


def run_feeds(model, feeds, *outputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    data = model if isinstance(model, str) else model.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(list(outputs) or None, feeds)
