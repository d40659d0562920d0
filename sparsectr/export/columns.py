"""Raw columns to codes, as operators of ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sparsectr.encoding.bags import BagVocabulary
from sparsectr.encoding.binning import Bins
from sparsectr.encoding.hashing import Buckets
from sparsectr.encoding.resolutions import CodeColumn
from sparsectr.encoding.vocabulary import MISSING, N_RESERVED, UNKNOWN, Vocabulary
from sparsectr.export.cell_values import write_padding, write_sets, write_shares, write_split
from sparsectr.export.graph import ML, ML_OPSET_OF_FLOATS, OnnxGraph
from sparsectr.export.steps import Steps, write_steps
from sparsectr.nn.graph import CellValues, insert_axis, sum_over, take

MISSING_STRING, MISSING_INTEGER = "", np.iinfo(np.int64).min


class ColumnType(NamedTuple):
    """Say how the values of a field come into a graph.

    Attributes
    ----------
    kind : {"string", "int64", "float64"}
        Type of the input.
    missing : str
        What stands for a missing value.
    unit : str
        What an integer counts, such as "us" since 1970; "" for other values.
    is_list : bool
        Whether a cell has several values, side by side, and missing ones behind them.
    separator : str
        What stands between the values of a string; "" if a string is one value.
    """

    kind: str
    missing: str
    unit: str = ""
    is_list: bool = False
    separator: str = ""


class StepColumn(NamedTuple):
    """A column of codes that are constant between cuts of the cells of an input.

    Attributes
    ----------
    place : int
        Number of the column.
    cells : str
        The input.
    steps : Steps
        Cuts, and codes between them.
    """

    place: int
    cells: str
    steps: Steps


def type_of(name: str, field: tuple[CodeColumn, ...]) -> ColumnType:
    """Return the type of the input of a field.

    Raises
    ------
    ValueError
        If the codes of its values cannot be computed by operators.
    """
    codes_only = "export with inputs='codes' and encode rows with encoder_.transform."
    if any(isinstance(column, Buckets) for column in field):
        raise ValueError(
            f"field {name!r} is hashed, and ONNX has no operator for the hash; {codes_only}"
        )
    if isinstance(field[0], BagVocabulary):
        types, separator = type_of(name, (field[0].vocabulary,)), field[0].separator
        return types._replace(is_list=separator is None, separator=separator or "")
    vocabularies = [column.values for column in field if isinstance(column, Vocabulary)]
    found = {_kind(values) for values in vocabularies}
    if not found:
        return ColumnType("float64", "NaN")
    if len(found) > 1 or None in found:
        raise ValueError(
            f"field {name!r} has values that are not all strings, all integers that fit 64 bits, "
            f"all floats or all times without a zone, and an input has one type; {codes_only}"
        )
    (kind,) = found
    if kind == "string":
        if MISSING_STRING in vocabularies[0].tolist():
            raise ValueError(
                f"field {name!r} has the empty string as a value, which stands for a missing one "
                f"in ONNX; replace it, or {codes_only}"
            )
        return ColumnType("string", "the empty string")
    if kind == "float64":
        return ColumnType("float64", "NaN")
    return ColumnType("int64", str(MISSING_INTEGER), "" if kind == "int64" else str(kind))


def _kind(values: Any) -> str | None:
    kind = values.dtype.kind
    if kind in "mM":
        return str(np.datetime_data(values.dtype)[0])
    if kind in "bi" or (kind == "u" and values.max() <= np.iinfo(np.int64).max):
        return "int64"
    if kind == "f":
        return "float64"
    return _kind_of_objects(values.tolist())


def _kind_of_objects(values: list[object]) -> str | None:
    """Return the kind of values that Python holds, such as those of lists."""
    if all(type(value) is str for value in values):
        return "string"
    if all(isinstance(value, float) for value in values):  # that of NumPy is one, too
        return "float64"
    largest = np.iinfo(np.int64).max
    fit = [isinstance(value, int | np.integer) and abs(int(value)) <= largest for value in values]
    return "int64" if all(fit) else None


def write_columns(
    graph: OnnxGraph,
    names: Sequence[str],
    fields: Sequence[tuple[CodeColumn, ...]],
    *,
    with_sets: bool = False,
) -> str:
    """Add all fields: an input of shape (B, 1) each, to the codes (B, C) of all columns.

    Operators cost more than what they do with a row: all bins of one kind are found together. Cells
    of several values have the code of their set if asked for; otherwise their values are among the
    ``cell_values`` of the graph.
    """
    single: dict[int, str] = {}
    stepped: dict[tuple[str, str], list[StepColumn]] = {}
    place = 0
    for name, field in zip(names, fields, strict=True):
        types = type_of(name, field)
        shape: list[int | str] = ["rows", f"{name}_values" if types.is_list else 1]
        cells = graph.add_input(name, types.kind, shape)
        for column in field:
            if isinstance(column, BagVocabulary):
                values = _write_values(graph, cells, column, types)
                if with_sets:
                    single[place] = write_sets(graph, values, column)
                else:
                    shares = write_shares(graph, values)
                    graph.cell_values.append(CellValues(place, values, shares))
                    single[place] = take(graph, values, [0])
            elif isinstance(column, Bins):
                group = stepped.setdefault((types.kind, column.rule), [])
                group.append(StepColumn(place, cells, (column.cuts, column.codes_of_bins)))
            else:
                single[place] = _write_vocabulary(graph, cells, column.values, types)
            place += 1
    codes = [*single.values()]
    order = [*single]
    for (kind, rule), columns in stepped.items():
        codes.append(_write_steps(graph, columns, kind, rule))
        order += [column.place for column in columns]
    joined = graph.add("Concat", *codes, axis=1)
    return joined if order == sorted(order) else take(graph, joined, np.argsort(order).tolist())


def _write_values(graph: OnnxGraph, cells: str, column: BagVocabulary, types: ColumnType) -> str:
    """Add the codes (B, L) of the values of a field, the last of each row missing."""
    if types.separator:
        cells = write_split(graph, cells, types.separator)
    return write_padding(graph, _write_vocabulary(graph, cells, column.vocabulary.values, types))


def _write_vocabulary(graph: OnnxGraph, cells: str, values: Any, types: ColumnType) -> str:
    codes = np.arange(N_RESERVED, N_RESERVED + len(values))
    if types.kind == "float64":
        write = _look_up_floats if graph.float_lookup else _search_floats
        # Adding 0.0 makes -0.0 the same value as 0.0.
        found = write(graph, graph.add("Add", cells, np.array(0.0)), values + 0.0, codes)
        return _mark_missing(graph, cells, found, types.kind)
    keys: dict[str, Any] = (
        {"keys_strings": [*values.tolist(), MISSING_STRING]}
        if types.kind == "string"
        else {"keys_int64s": [*values.astype(np.int64).tolist(), MISSING_INTEGER]}
    )
    return graph.add(
        "LabelEncoder",
        cells,
        domain=ML,
        values_int64s=[*codes.tolist(), MISSING],
        default_int64=UNKNOWN,
        **keys,
    )


def _look_up_floats(graph: OnnxGraph, cells: str, values: Any, codes: Any) -> str:
    """Add the codes of float64 cells (B, L), by an operator that takes float64 to float64."""
    graph.ml_opset = ML_OPSET_OF_FLOATS
    tensors = {
        "keys_tensor": values.astype(np.float64),
        "values_tensor": codes.astype(np.float64),
        "default_tensor": np.array([UNKNOWN], np.float64),
    }
    attributes: dict[str, Any] = {
        key: graph.onnx.numpy_helper.from_array(array, key) for key, array in tensors.items()
    }
    return graph.add("Cast", graph.add("LabelEncoder", cells, domain=ML, **attributes), to=7)


def _search_floats(graph: OnnxGraph, cells: str, values: Any, codes: Any) -> str:
    """Add the codes of float64 cells (B, 1), by comparing each with all values (V,)."""
    order = np.argsort(values)
    values = values[order].astype(np.float64)
    below = graph.add("Cast", graph.add("Greater", cells, values[None]), to=7)  # (B, V)
    places = insert_axis(graph, sum_over(graph, below, 1), 1)
    places = graph.add("Min", places, np.array(len(values) - 1))  # above all: unlike the last
    known = graph.add("Equal", cells, graph.add("Gather", values, places))
    found = graph.add("Gather", codes[order].astype(np.int64), places)
    return graph.add("Where", known, found, np.array(UNKNOWN))


def _write_steps(graph: OnnxGraph, columns: Sequence[StepColumn], kind: str, rule: str) -> str:
    """Add the codes (B, P) of P columns of one kind and rule."""
    cells = graph.add("Concat", *(column.cells for column in columns), axis=1)
    numbers = graph.add("Cast", cells, to=11) if kind == "int64" else cells
    levels = _write_levels(graph, numbers, rule)
    codes = write_steps(graph, levels, [column.steps for column in columns])
    return _mark_missing(graph, cells, graph.add("Cast", codes, to=7), kind)


def _write_levels(graph: OnnxGraph, numbers: str, rule: str) -> str:
    """Add what `Bins` makes of numbers before they are compared with its cuts."""
    if rule == "quantile":
        return numbers
    if rule == "log_square":  # ln(1 + e^x) of x = 2 ln |v|, in a form that does not overflow
        x = graph.add("Mul", graph.add("Log", graph.add("Abs", numbers)), np.array(2.0))
        falling = graph.add("Exp", graph.add("Neg", graph.add("Abs", x)))
        rest = graph.add("Log", graph.add("Add", falling, np.array(1.0)))
        return graph.add("Floor", graph.add("Add", graph.add("Max", x, np.array(0.0)), rest))
    two = np.array(2.0)
    logs = graph.add("Log", graph.add("Max", numbers, two))
    squares = graph.add("Floor", graph.add("Mul", logs, logs))
    truncated = graph.add(
        "Mul", graph.add("Sign", numbers), graph.add("Floor", graph.add("Abs", numbers))
    )
    return graph.add("Where", graph.add("Greater", numbers, two), squares, truncated)


def _mark_missing(graph: OnnxGraph, cells: str, codes: str, kind: str) -> str:
    if kind == "float64":
        is_missing = graph.add("IsNaN", cells)
    else:
        is_missing = graph.add("Equal", cells, np.array(MISSING_INTEGER, dtype=np.int64))
    return graph.add("Where", is_missing, np.array(MISSING, dtype=np.int64), codes)
