"""ONNX graphs run by onnxruntime."""

import pytest

from sparsectr import onnx_inputs

onnxruntime = pytest.importorskip("onnxruntime")


def run(model, frame, *outputs):
    """Run a model on the columns of a frame."""
    return run_feeds(model, onnx_inputs(model, frame), *outputs)


def run_feeds(model, feeds, *outputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    data = model if isinstance(model, str) else model.SerializeToString()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return session.run(list(outputs) or None, feeds)
