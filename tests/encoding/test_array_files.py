"""Arrays that are written some rows at a time."""

import numpy as np
import pytest

from sparsectr.encoding.array_files import array_file, array_files


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.int32).reshape(8, 3),
        np.array(["a", "bcd", "", "ü"] * 2),
        np.arange(8).astype("datetime64[us]"),
        np.arange(8) % 2 == 0,
    ],
    ids=lambda array: str(array.dtype),
)
def test_rows_are_written_in_any_order(array, tmp_path):
    with array_file(tmp_path / "x.npy", array.dtype, array.shape) as write:
        write(5, array[5:])
        write(0, array[:2])
        write(2, array[2:5])
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), array)


def test_rows_are_given_the_type_of_the_file(tmp_path):
    with array_files(tmp_path, {"y.npy": np.dtype("U5"), "w.npy": np.dtype(float)}, 2) as files:
        files["y.npy"](0, np.array(["no", "yes"]))
        files["w.npy"](1, np.array([3], dtype=np.int8))
    assert np.load(tmp_path / "y.npy").tolist() == ["no", "yes"]
    assert np.load(tmp_path / "w.npy").tolist() == [0.0, 3.0]
