"""Pictures show what the tables say."""

import io
import subprocess
import sys
from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from sparsectr import InteractionDisplay
from sparsectr.interactions.drawing import HIGHER_COLOR, pair_strengths, printable, short_names

TABLE = pd.DataFrame(
    {
        "fields": [("a", "c"), ("b", "c"), ("a", "b", "d"), ("c", "d")],
        "order": [2, 2, 3, 2],
        "strength": [0.5, 0.4, 0.3, 0.0],
        "strength_error": [0.05, 0.02, 0.01, 0.0],
    }
)
VALUES = pd.DataFrame(
    {
        "hour": [9, 10, 9, 10, 23],
        "shop": ["x", "x", "y", None, "y"],
        "count": [50, 40, 30, 20, 1],
        "effect": [1.0, -2.0, 0.5, 0.25, 3.0],
    }
)
ONE = pd.DataFrame(
    {
        "hour": pd.Categorical(["b", "a", "c", "d"], categories=["a", "b", "c", "d"], ordered=True),
        "count": [50, 40, 30, 20],
        "effect": [1.0, -2.0, 0.01, 0.5],
    }
)
THREE = pd.DataFrame(
    {
        "hour": [9, 10, 9, 10],
        "shop": ["x", "y", "x", "y"],
        "day": ["mon", "mon", "tue", "wed"],
        "count": [50, 40, 30, 20],
        "effect": [1.0, -2.0, 0.5, 0.25],
    }
)
FIELDS = pd.DataFrame(
    {
        "field": ["hour", "a_field", "shop", "day"],
        "total": [0.9, 0.6, 0.5, 0.1],
        "main": [0.8, 0.1, 0.5, 0.0],
        "crosses": [0.3, 0.6, 0.0, 0.1],
        "n_values": [24, 3, 2, 3],
    }
)


class Fitted:
    """Says what a classifier would say."""

    def __init__(self, table=TABLE):
        self.table = table
        self.asked = []

    def interaction_table(self):
        return self.table

    def value_effects(self, fields, *, class_label=None):
        self.asked.append((fields, class_label))
        return {1: ONE, 2: VALUES, 3: THREE}[len(fields)]

    def field_table(self):
        return FIELDS


@pytest.fixture(autouse=True)
def agg():
    with mpl.rc_context():
        plt.switch_backend("agg")
        yield
        plt.close("all")


def texts(labels):
    return [label.get_text() for label in labels]


def many(n_fields, n_crosses, name="field_{}"):
    rng = np.random.default_rng(0)
    names = [name.format(i) for i in range(n_fields)]
    sets = {tuple(sorted(rng.choice(n_fields, 2 + i % 2, replace=False))) for i in range(n_crosses)}
    fields = [tuple(names[f] for f in cross) for cross in sets]
    strengths = np.sort(rng.exponential(size=len(fields)))[::-1]
    return pd.DataFrame(
        {
            "fields": fields,
            "order": [len(cross) for cross in fields],
            "strength": strengths,
            "strength_error": 0.1 * strengths,
        }
    )


# Kinds -----------------------------------------------------------------------------------


def test_bars_are_as_long_as_crosses_are_strong():
    display = InteractionDisplay.from_estimator(Fitted())
    bars = display.ax_.patches
    assert [bar.get_width() for bar in bars] == [0.5, 0.4, 0.3]  # not the one that does nothing
    assert texts(display.ax_.get_yticklabels()) == ["a × c", "b × c", "a × b × d"]
    low, high = display.ax_.get_ylim()
    assert low > high  # the strongest is on top
    whiskers = display.ax_.collections[0].get_segments()
    np.testing.assert_allclose(
        [line[:, 0] for line in whiskers], [[0.45, 0.55], [0.38, 0.42], [0.29, 0.31]]
    )


def test_a_matrix_has_the_fields_on_both_sides():
    display = InteractionDisplay.from_estimator(Fitted(), kind="matrix")
    names = texts(display.ax_.get_xticklabels())
    assert names == texts(display.ax_.get_yticklabels()) == ["a", "c", "b", "d"]
    pairs, higher = (image.get_array().filled(np.nan) for image in display.ax_.images)
    below = np.tri(4, dtype=bool)
    strengths = pair_strengths(TABLE[:2], names)
    np.testing.assert_array_equal(pairs, np.where(below, np.nan, strengths))
    strengths = pair_strengths(TABLE[2:3], names)
    np.testing.assert_array_equal(higher, np.where(below, strengths, np.nan))
    alone = InteractionDisplay.from_estimator(Fitted(TABLE[:2]), kind="matrix")
    (image,) = alone.ax_.images
    strengths = pair_strengths(TABLE[:2], ["a", "c", "b"])
    np.testing.assert_array_equal(image.get_array().filled(np.nan), strengths)


def test_a_graph_has_one_line_per_pair_and_one_star_per_higher_cross():
    display = InteractionDisplay.from_estimator(Fitted(), kind="graph")
    lines = [line for line in display.ax_.lines if len(line.get_xdata())]
    higher = [line for line in lines if to_rgba(line.get_color()) == to_rgba(HIGHER_COLOR)]
    assert len(lines) == 2 + 3
    assert len(higher) == 3
    assert len({tuple(line.get_xydata()[0]) for line in higher}) == 1  # one centre
    assert sorted(texts(display.ax_.texts)) == ["a", "b", "c", "d"]
    pairs = [line for line in lines if line not in higher]
    weak, strong = pairs  # the strongest is drawn last
    assert strong.get_linewidth() > weak.get_linewidth() > higher[0].get_linewidth()


def test_values_are_a_grid_of_effects_beside_a_grid_of_counts():
    fitted = Fitted()
    display = InteractionDisplay.from_values(fitted, ("hour", "shop"), class_label="late")
    assert fitted.asked == [(("hour", "shop"), "late")]
    effects, counts = (ax.images[0].get_array() for ax in display.ax_)
    assert texts(display.ax_[0].get_yticklabels()) == ["9", "10", "23"]  # numbers, not text
    assert texts(display.ax_[1].get_xticklabels()) == ["x", "y", "(missing or rare)"]
    for row in VALUES.itertuples():
        cell = [9, 10, 23].index(row.hour), 2 if pd.isna(row.shop) else "xy".index(row.shop)
        assert effects[cell] == pytest.approx(row.effect)
        assert counts[cell] == row.count
    assert effects.mask.sum() == (counts == 0).sum() == 9 - len(VALUES)
    low, high = display.ax_[0].images[0].get_clim()
    assert low == -high == -3.0


def test_the_values_that_explain_most_are_shown_and_counted():
    display = InteractionDisplay.from_values(Fitted(), ["hour", "shop"], n_values=2)
    assert texts(display.ax_[0].get_yticklabels()) == ["9", "10"]
    assert texts(display.ax_[1].get_xticklabels()) == ["x", "y"]
    assert display.ax_[0].get_ylabel() == "hour (2 of 24 values)"
    assert display.ax_[0].get_xlabel() == "shop"
    rare = VALUES.assign(count=[50, 40, 30, 20, 10])  # the strongest cell by far
    fitted = Fitted()
    fitted.value_effects = lambda fields, class_label: rare
    display = InteractionDisplay.from_values(fitted, ["hour", "shop"], n_values=1)
    assert texts(display.ax_[0].get_yticklabels()) == ["10"]
    assert texts(display.ax_[0].get_xticklabels()) == ["x"]


def test_bars_without_evidence_are_pale():
    table = TABLE[:3].assign(significant=[True, False, True])
    ax = InteractionDisplay(table).plot().ax_
    assert [bar.get_alpha() for bar in ax.patches[:3]] == [1, 0.35, 1]
    assert texts(ax.get_legend().get_texts()) == ["significant", "without evidence"]


def test_bars_that_were_not_tested_are_hatched():
    table = TABLE[:3].assign(significant=[True, False, False], evidence=[9.0, 0.5, np.nan])
    ax = InteractionDisplay(table).plot().ax_
    assert [bar.get_hatch() for bar in ax.patches[:3]] == [None, None, "////"]
    legend = texts(ax.get_legend().get_texts())
    assert legend == ["significant", "without evidence", "not tested"]


def test_fields_have_bars_for_what_they_do_alone_and_in_crosses():
    ax = InteractionDisplay.from_estimator(Fitted(), kind="fields", n_interactions=3).ax_
    alone, crossed = ax.containers
    assert [bar.get_width() for bar in alone] == [0.8, 0.1, 0.5]
    assert [bar.get_width() for bar in crossed] == [0.3, 0.6, 0.0]
    (totals,) = ax.lines
    assert totals.get_xdata().tolist() == [0.9, 0.6, 0.5]
    assert texts(ax.get_yticklabels()) == ["hour", "a_field", "shop"]
    assert texts(ax.get_legend().get_texts()) == ["both together", "by itself", "in crosses"]


def test_the_values_of_a_field_are_bars_in_their_order():
    display = InteractionDisplay.from_values(Fitted(), ("hour",), n_values=3)
    assert texts(display.ax_.get_yticklabels()) == ["a", "b", "d"]
    assert [bar.get_width() for bar in display.ax_.patches] == [-2.0, 1.0, 0.5]
    assert texts(display.ax_.texts) == ["40", "50", "20"]
    assert display.ax_.get_title("left") == "hour (3 of 24 values)"
    text = Fitted()
    text.value_effects = lambda fields, class_label: ONE.astype({"hour": object})
    ax = InteractionDisplay.from_values(text, ("hour",)).ax_
    assert texts(ax.get_yticklabels()) == ["b", "d", "c", "a"]  # by effect


def test_a_triple_has_a_heat_map_for_each_third_value():
    display = InteractionDisplay.from_values(Fitted(), ("hour", "shop", "day"))
    assert [ax.get_title("left") for ax in display.ax_] == ["day = mon", "day = tue", "day = wed"]
    grids = [ax.images[0].get_array().filled(np.nan) for ax in display.ax_]
    expected = [[[1.0, np.nan], [np.nan, -2.0]], [[0.5, np.nan], [np.nan] * 2]]
    np.testing.assert_array_equal(grids[:2], expected)
    assert {ax.images[0].get_clim() for ax in display.ax_} == {(-2.0, 2.0)}


def test_stability_is_written_beside_the_bars():
    stability = TABLE[["fields", "order"]].assign(
        frequency=[1.0, 0.8, 0.2, 0.2], mean_strength=[0.5, 0.6, 0.1, 0.1], strength_std=0.01
    )
    display = InteractionDisplay.from_stability(stability, n_interactions=3)
    assert texts(display.ax_.texts) == ["100%", "80%", "20%"]
    bars = display.ax_.patches
    assert [bar.get_width() for bar in bars] == [0.5, 0.6, 0.1]
    assert bars[0].get_alpha() > bars[1].get_alpha() > bars[2].get_alpha()


# Readable --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bar", "matrix", "graph"])
@pytest.mark.parametrize(
    "table",
    [many(4, 6), many(40, 60), many(9, 20, "a_rather_long_name_of_field_{}_in_the_table")],
    ids=["few", "many", "long"],
)
def test_labels_lie_in_the_figure_and_do_not_overlap(kind, table):
    display = InteractionDisplay.from_estimator(Fitted(table), kind=kind)
    figure, ax = display.figure_, display.ax_
    figure.canvas.draw()
    labels = ax.texts if kind == "graph" else ax.get_yticklabels()
    boxes = [label.get_window_extent() for label in labels]
    outside = figure.bbox.padded(1)
    assert all(outside.x0 <= box.x0 and box.x1 <= outside.x1 for box in boxes)
    assert all(outside.y0 <= box.y0 and box.y1 <= outside.y1 for box in boxes)
    assert len(set(texts(labels))) == len(labels)
    if kind != "graph":  # boxes of turned names overlap where the names do not
        heights = sorted((box.y0, box.y1) for box in boxes)
        assert all(high <= low + 1 for (_, high), (low, _) in pairwise(heights))


# The idiom -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bar", "matrix", "graph", "fields"])
def test_given_axes_are_drawn_on(kind):
    figure, axes = plt.subplots(1, 2)
    display = InteractionDisplay.from_estimator(Fitted(), kind=kind, ax=axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    again = display.plot()
    assert again is display
    assert display.figure_ is not figure


def test_two_axes_show_values():
    figure, axes = plt.subplots(2, 1)
    display = InteractionDisplay.from_values(Fitted(), ("hour", "shop"), ax=axes)
    assert list(display.ax_) == list(axes)
    assert display.figure_ is figure


def test_the_number_of_crosses_can_be_set():
    display = InteractionDisplay.from_estimator(Fitted(), n_interactions=2)
    assert len(display.ax_.patches) == 2


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="kind must be one of"):
        InteractionDisplay.from_estimator(Fitted(), kind="pie")
    with pytest.raises(ValueError, match="kind must be one of"):
        InteractionDisplay(TABLE, kind="pie").plot()
    with pytest.raises(ValueError, match="no crosses to draw"):
        InteractionDisplay.from_estimator(Fitted(TABLE[3:]))
    with pytest.raises(ValueError, match="one to three fields"):
        InteractionDisplay.from_values(Fitted(), ("hour", "shop", "day", "week"))
    with pytest.raises(ValueError, match="ax must be 2 matplotlib Axes, got 1"):
        InteractionDisplay.from_values(Fitted(), ("hour", "shop"), ax=plt.figure().gca())
    with pytest.raises(ValueError, match="n_interactions must be an int >= 1"):
        InteractionDisplay.from_estimator(Fitted(), n_interactions=0)
    with pytest.raises(ValueError, match="n_values must be an int >= 1"):
        InteractionDisplay.from_values(Fitted(), ("hour", "shop"), n_values=0)


def test_without_matplotlib_the_package_works_and_pictures_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'sparsectr\[plot\]'"):
        InteractionDisplay(TABLE).plot()


def test_the_package_imports_no_matplotlib():
    code = "import sparsectr, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Names are data --------------------------------------------------------------------------

MARKUP = [
    "$a_{",
    "$b$",
    "c$d$e",
    r"$\frac{1}{2}$",
    r"\alpha",
    "50% #1 & {x}^2_y",
    "f\ng",
]


def drawn_names(display):
    """All texts of a picture that are names, after it was drawn."""
    figure = display.figure_
    figure.savefig(io.BytesIO())
    axes = np.ravel(display.ax_)
    labels = [
        label for ax in axes for axis in (ax.xaxis, ax.yaxis) for label in axis.get_ticklabels()
    ]
    labels += [axis.label for ax in axes for axis in (ax.xaxis, ax.yaxis)]
    labels += [text for ax in axes for text in ax.texts]
    return {label.get_text(): label for label in labels}


@pytest.mark.parametrize("kind", ["bar", "stability", "matrix", "graph", "fields"])
def test_names_of_fields_are_drawn_as_they_are_written(kind):
    table = pd.DataFrame({"fields": list(pairwise(MARKUP)), "order": 2, "strength": 0.5})
    table = table.assign(strength_error=0.1, frequency=1.0, mean_strength=0.5, strength_std=0.1)
    if kind == "fields":
        table = pd.DataFrame({"field": MARKUP, "total": 1.0, "main": 0.5, "crosses": 0.5})
    found = drawn_names(InteractionDisplay(table, kind=kind).plot())
    shown = [*MARKUP[:-1], r"f\ng"]
    if kind in ("bar", "stability"):
        shown = [" × ".join(pair) for pair in pairwise(shown)]
    for name in shown:
        assert not found[name].get_parse_math()
        assert not found[name].get_usetex()


def test_values_and_names_of_a_pair_are_drawn_as_they_are_written():
    values = pd.DataFrame({"bid_$": MARKUP, "floor_$": MARKUP[::-1], "count": 1, "effect": 0.5})
    found = drawn_names(InteractionDisplay(values, kind="values").plot())
    for name in ("bid_$", "floor_$", *MARKUP[:-1]):
        assert not found[name].get_parse_math()
        assert not found[name].get_usetex()


def test_dollars_are_seen():
    widths = {}
    for name in ("$i$", "i"):
        table = TABLE.head(1).assign(fields=[(name, "j")])
        found = drawn_names(InteractionDisplay(table).plot())
        widths[name] = found[f"{name} × j"].get_window_extent().width
    assert widths["$i$"] > 1.2 * widths["i"]


def test_characters_that_no_font_draws():
    assert printable("a\tb\nc\x00\ud800") == r"a\tb\nc\x00\ud800"
    assert printable("é 日 × $") == "é 日 × $"


def test_names_that_only_escapes_tell_apart():
    assert len(set(short_names(["a\nb" + "x" * 40, "a\tb" + "x" * 40]).values())) == 2
    assert short_names(["a\nb", r"a\nb"]) == {"a\nb": r"a\nb", r"a\nb": r"a\nb"}


@pytest.mark.parametrize("kind", ["bar", "matrix", "graph", "stability"])
def test_tables_that_a_picture_cannot_show(kind):
    for wrong in (None, [("a", "b")], TABLE.drop(columns="fields"), VALUES):
        message = rf"kind '{kind}' must be a DataFrame with the columns \['fields', .* got "
        with pytest.raises(ValueError, match=message):
            InteractionDisplay(wrong, kind=kind).plot()


def test_what_is_no_estimator_of_ours_or_no_pair():
    for wrong in (None, TABLE):
        with pytest.raises(TypeError, match=r"estimator must be a fitted one .*, got "):
            InteractionDisplay.from_estimator(wrong)
        with pytest.raises(TypeError, match=r"estimator must be a fitted one .*, got "):
            InteractionDisplay.from_values(wrong, ("hour", "shop"))
    for wrong in (1, "ab", (), None):
        with pytest.raises(ValueError, match="fields must be the names of one to three fields"):
            InteractionDisplay.from_values(Fitted(), wrong)


@pytest.mark.parametrize("score", [None, "units of the target"])
def test_pictures_say_what_effects_are_in(score):
    told = {} if score is None else {"score": score}
    expected = "log-odds" if score is None else score
    table, values, entries = TABLE.copy(), VALUES.copy(), EXPLANATION.copy()
    for some in (table, values, entries):
        some.attrs |= told
    table["frequency"], table["mean_strength"], table["strength_std"] = 1.0, table["strength"], 0.1
    fitted = Fitted(table)
    labels = {
        InteractionDisplay.from_estimator(fitted).ax_.get_xlabel(),
        InteractionDisplay.from_estimator(fitted, kind="matrix").figure_.axes[1].get_ylabel(),
        InteractionDisplay.from_stability(table).ax_.get_xlabel(),
        InteractionDisplay(values, kind="values").plot().figure_.axes[2].get_ylabel(),
        InteractionDisplay.from_explanation(entries, row=1).ax_.get_xlabel(),
    }
    assert labels == {
        f"strength ({expected})",
        f"strength of pairs ({expected})",
        f"mean strength ({expected})\nin percent: fits that found the cross",
        f"effect ({expected})",
        expected,
    }


# One row ---------------------------------------------------------------------------------

EXPLANATION = pd.DataFrame(
    {
        "row": [0, 1, 1, 1, 1, 1],
        "rank": [0, 1, 2, 0, 0, 0],
        "fields": [(), ("a", "b"), ("b", "c"), ("a",), ("b",), ()],
        "values": [(), ("x", None), (None, "7"), ("x",), (None,), ()],
        "contribution": [9.0, 0.5, -0.1, 0.2, -1.0, -2.0],
    }
)


def test_a_waterfall_ends_at_the_log_odds_of_its_row():
    display = InteractionDisplay.from_explanation(EXPLANATION, row=1)
    steps = display.table
    assert steps["label"].tolist() == [
        "no field known, and all that is not listed",
        "b = missing",
        "a = x × b = missing",
        "a = x",
        "b = missing × c = 7",
    ]
    np.testing.assert_allclose(steps["end"], [-2.0, -3.0, -2.5, -2.3, -2.4])
    np.testing.assert_allclose(steps["start"][1:], steps["end"][:-1])
    bars = display.ax_.patches
    np.testing.assert_allclose([bar.get_width() for bar in bars], [-1.0, 0.5, 0.2, -0.1])
    assert display.ax_.get_title(loc="left") == "sum of the row: -2.4"


def test_a_waterfall_of_two_classes_starts_and_ends_with_a_probability():
    entries = EXPLANATION.copy()
    entries.attrs |= {"start": -1.5, "probability_of": "late"}
    display = InteractionDisplay.from_explanation(entries, row=1)
    steps = display.table
    assert steps["label"].tolist() == [
        f"no field known (probability of late: {1 / (1 + np.exp(1.5)):.3g})",
        "b = missing",
        "a = x × b = missing",
        "crosses that are not listed",
        "a = x",
        "b = missing × c = 7",
    ]
    np.testing.assert_allclose(steps["end"], [-1.5, -2.5, -2.0, -2.5, -2.3, -2.4])
    title = f"sum of the row: -2.4 (probability of late: {1 / (1 + np.exp(2.4)):.3g})"
    assert display.ax_.get_title(loc="left") == title


def test_small_effects_of_a_row_share_a_bar():
    steps = InteractionDisplay.from_explanation(EXPLANATION, row=1, n_entries=2).table
    assert steps["label"].iloc[-1] == "2 others"
    assert steps["end"].iloc[-1] - steps["start"].iloc[-1] == pytest.approx(0.1)
    assert steps["end"].iloc[-1] == pytest.approx(-2.4)


def test_every_field_of_a_long_label_can_be_read():
    entries = pd.DataFrame(
        {
            "row": [0, 0],
            "fields": [(), ("arrival_date_year", "total_of_previous_cancellations")],
            "values": [(), ("2015", "more than a few")],
            "contribution": [1.0, 0.5],
        }
    )
    label = InteractionDisplay.from_explanation(entries, row=0).table["label"].iloc[1]
    assert label == "arrival_date_year = 2015 × total_of_previo…ore than a few"


def test_a_waterfall_needs_a_complete_explanation():
    with pytest.raises(ValueError, match=r"complete=True.* hold the row 2, got rows \[0, 1\]"):
        InteractionDisplay.from_explanation(EXPLANATION, row=2)
    incomplete = EXPLANATION[EXPLANATION["rank"] > 0]
    with pytest.raises(ValueError, match="complete=True"):
        InteractionDisplay.from_explanation(incomplete, row=1)
    with pytest.raises(ValueError, match=r"explanation must be a DataFrame with the columns"):
        InteractionDisplay.from_explanation(TABLE)
