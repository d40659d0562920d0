"""Turn records into the page of the documentation. Every number on it comes from a record."""

import json
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from suite.aims import render_aims
from suite.datasets import SOURCES
from suite.development import ON_TEST_ROWS
from suite.digits import four_digits, make_table
from suite.models import CHOSEN, MODELS, validation_cost
from suite.records import Record
from suite.summary import average, select, summarise
from suite.tables import TABLES

PUBLISHED = Path(__file__).with_name("published.json")
COLUMNS = ["model", "settings", "seeds", "test AUC", "test log loss", "epochs", "fit s"]
COLUMNS += ["rows/s", "MiB", "parameters"]

HEAD = """# Benchmarks

<!-- Written by `python examples/benchmarks/bench.py render`: change that, not this page. -->

One command measures every row of this page again, trials and seeds included, writes lines and page
into another folder, and prints how far old and new results lie apart:

```
python -m nox -s bench -- reproduce --data DIR --out again --at-once 2
```

That takes {hours:.1f} hours with one fit at a time, about half of it with two on two cores; names
of tables, and `--models`, choose some rows. This one adds rows, skips those that are there, and
writes the page:

```
python -m nox -s bench -- run flights amazon adult frappe ml1m --data DIR --seeds 0 1 2
python -m nox -s bench -- render
```

`DIR` is where downloaded data lie. Amazon Employee Access has to be put there by hand, see
`examples/benchmarks/suite/datasets.py`. Flights are bundled. Without a name, all five are run.

**Protocol.** Test rows are the same for all seeds. The seed draws the validation rows (unless they
are published), the initial weights and the order of the rows. Validation rows stop the training
and choose settings; test rows are predicted once, at the end. Ours and the nets of other libraries
share encoder, batches, learning rate drop and stopping rule. They differ in the net, its settings,
and the optimizer of the embeddings: the nets of other libraries train all weights with Adam, ours
train embeddings with row-wise Adagrad, their default, unless the settings of a row say
`optimizer='adam'`, and all else with Adam. "default" are the defaults of the class (for peers: of
the library, at embedding length 16 and our batch size and stopping rule), "chosen" were found by
hand
on validation rows, "tuned" is the best of {n_trials} trials on validation rows of seed 0, the
defaults among them; our estimators and the peers get equally many, from the spaces in their
`param_distributions`. Fits "on all rows" take training and validation rows together, and each is
stopped by a tenth of its own. A number after ± is the standard deviation over the seeds.

**Cost.** Every fit ran in a process of its own, with {threads}. "fit s" is the wall time of `fit`,
validation and search included; "rows/s" is the best of several predictions of all test rows,
encoding included; "MiB" is the peak memory of the process, with Python, its packages and the data;
"parameters" are trained numbers, for trees their leaves. Times
of different machines, and of runs with a load above the number of threads, compare roughly.
"""

SUITE = """What a user gets who fits a default:

```
python examples/benchmarks/bench.py suite --part test --data DIR
```

At most {n_rows:,} training rows and always the same test rows, columns as `pandas.read_csv` gives
them; CatBoost, LightGBM and HistGradientBoosting are told which integers are ids, ours are not.
Every model sets rows apart for early stopping by itself. Settings of ours were chosen on held-out
training rows of some tables. Two rules were found on training rows, but looked for because of a
test score, so that these rows are not clean: that for nearly unique columns, stops, and the choice
of ids of the ensemble, frappe. Means of the seeds {seeds}; of random crosses and of means of trees,
seed 0. "better tree" is the better of default CatBoost and LightGBM, "fit s" processor seconds with
one thread, and "in CatBoosts" the geometric mean of ratios; the machine was busy. Crosses are
measured when they are first asked for, and not in these times. Of a model that was measured on some
tables only, the means are over these. Commits {commits}.
"""


def render_page(
    results: Iterable[Record],
    trials: Iterable[Record],
    stopped: Iterable[Record] = (),
    fits: Iterable[Record] = (),
) -> str:
    """Return the page in Markdown.

    Parameters
    ----------
    results, trials, stopped : iterable of dict
        Tested fits, trials on validation rows, and fits that took too long; see `run_jobs`.
    fits : iterable of dict
        Fits of the development suite.
    """
    stopped = list(stopped)
    results, trials = latest(results), latest(trials)
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    blocks = [render_head(results, trials), render_machines([*results, *trials])]
    blocks += render_suite(list(fits))
    for name in SOURCES:
        rows = [row for row in results if row["dataset"] == name]
        if rows:
            tried = [row for row in trials if row["dataset"] == name]
            late = [row for row in stopped if row["dataset"] == name]
            blocks += render_dataset(name, rows, tried, late, published)
    return "\n\n".join(block.strip() for block in blocks) + "\n"


def render_suite(fits: list[Record]) -> Iterator[str]:
    """Yield the tables of the development suite."""
    shown = [
        fit
        for fit in fits
        if fit["part"] == ON_TEST_ROWS.part and fit["seed"] in ON_TEST_ROWS.seeds
    ]
    if shown:
        commits = dict.fromkeys(fit["commit"] for fit in shown)
        yield "## Defaults on the development tables"
        yield SUITE.format(
            n_rows=ON_TEST_ROWS.n_rows,
            seeds=", ".join(str(seed) for seed in sorted({fit["seed"] for fit in shown})),
            commits=", ".join(f"`{commit}`" for commit in commits),
        )
        yield from summarise(shown, ON_TEST_ROWS)
        names = {fit["table"] for fit in shown}
        yield "\n".join(
            f"- {name}: {table.description}." for name, table in TABLES.items() if name in names
        )
        yield from render_aims(*average(select(shown, ON_TEST_ROWS), ON_TEST_ROWS.tables))


def latest(records: Iterable[Record]) -> list[Record]:
    """Keep the last record of each fit on a whole table; a file may hold repetitions."""
    kept = {}
    for row in records:
        if row["n_rows"] is None:
            kept[row["dataset"], row["model"], json.dumps(row["parameters"]), row["seed"]] = row
    return list(kept.values())


def render_head(results: list[Record], trials: list[Record]) -> str:
    """Return the introduction."""
    threads = sorted({row["threads"] for row in results})
    counts = {(row["dataset"], row["model"]): 0 for row in trials}
    for row in trials:
        counts[row["dataset"], row["model"]] += 1
    return HEAD.format(
        threads=", ".join(f"{n} thread" if n == 1 else f"{n} threads" for n in threads) or "-",
        n_trials=max(counts.values(), default=0),
        hours=sum(row["wall_seconds"] for row in [*results, *trials]) / 3600,
    )


def render_machines(records: list[Record]) -> str:
    """Return a line per machine and a line of versions."""
    groups: dict[tuple[Any, ...], list[float]] = {}
    for row in records:
        machine = row["machine"]
        key = (machine["cpu"], machine["cores"], machine["system"])
        groups.setdefault(key, []).extend([machine["load"], machine["load_after"]])
    lines = [
        f"- {cpu}, {cores} cores, {system}; load {min(loads):.1f} to {max(loads):.1f}"
        for (cpu, cores, system), loads in groups.items()
    ]
    packages: dict[str, set[str]] = {}
    for row in records:
        for package, number in row["versions"].items():
            packages.setdefault(package, set()).add(number)
    versions = (f"{name} {', '.join(sorted(found))}" for name, found in packages.items())
    commits = dict.fromkeys(row["commit"] for row in records)
    return "\n".join(
        [*lines, f"- {'; '.join(versions)}", f"- commits {', '.join(f'`{c}`' for c in commits)}"]
    )


def group_trials(trials: list[Record]) -> dict[tuple[str, str], list[Record]]:
    """Put the trials of a model on a table together."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for row in trials:
        groups.setdefault((row["model"], row["dataset"]), []).append(row)
    return groups


def render_dataset(
    name: str,
    rows: list[Record],
    trials: list[Record],
    stopped: list[Record],
    published: list[Record],
) -> Iterator[str]:
    """Yield the blocks of one table of data."""
    source, sizes = SOURCES[name], rows[0]["rows"]
    yield f"## {name}"
    yield (
        f"{source.description}. {sizes['train']:,} rows to train on, {sizes['validation']:,} to "
        f"stop by ({source.monitor.replace('_', ' ')}), {sizes['test']:,} to test on."
    )
    groups = group_rows(rows)
    shown = [group for group in groups.values() if is_shown(group[0])]
    shown.sort(key=lambda group: cost(group, name))
    yield make_table(COLUMNS, (describe_group(group) for group in shown))
    yield from render_stopped(stopped, {row["model"] for row in rows})
    yield from render_tuning(name, groups, trials)
    for entry in published:
        if entry["dataset"] == name:
            yield f"*Published:* {entry['source']}. {entry['note']}"
            lines = (
                [row["model"], four_digits(row.get("roc_auc")), four_digits(row["log_loss"])]
                for row in entry["rows"]
            )
            yield make_table(["model", "test AUC", "test log loss"], lines)


def render_stopped(stopped: Iterable[Record], measured: Container[str]) -> Iterator[str]:
    """Yield a line about the models that have no row because they took too long."""
    limits: dict[str, float] = {}
    for row in stopped:
        if row["model"] not in measured and row["n_rows"] is None and row["test"]:
            limits[row["model"]] = max(row["seconds"], limits.get(row["model"], 0))
    names = (
        f"{MODELS[model].title} ({seconds / 60:.0f} minutes)" for model, seconds in limits.items()
    )
    if limits:
        yield f"*Without a row, for one fit did not end in time:* {', '.join(names)}."


def group_rows(rows: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    """Put the seeds of a model with the same settings together, of one table of data."""
    groups: dict[tuple[str, str], list[Record]] = {}
    for row in rows:
        groups.setdefault((row["model"], json.dumps(row["parameters"])), []).append(row)
    return groups


def settings_of(row: Record) -> str:
    """Say where the settings of a row come from."""
    return str(row["settings"]) if row["parameters"] else "default"


def is_shown(row: Record) -> bool:
    """Leave out defaults where other settings were chosen: they stand in the table of tuning."""
    chosen = CHOSEN.get(row["dataset"], {}).get(MODELS[row["model"]].family, {})
    return bool(row["parameters"]) or not chosen


def cost(group: list[Record], name: str) -> float:
    """Return the mean deciding measure on test rows, smaller being better."""
    key, sign = (SOURCES[name].monitor, -1 if SOURCES[name].monitor == "roc_auc" else 1)
    return sign * mean(row["test"][key] for row in group)


def describe_group(group: list[Record]) -> list[str]:
    """Return the cells of a row: means over the seeds, with standard deviations of quality."""
    first = group[0]
    model = MODELS[first["model"]]

    def average(key: str, digits: int = 0) -> str:
        values = [row[key] for row in group]
        return "" if None in values else f"{mean(values):,.{digits}f}"

    return [
        f"**{model.title}**" if model.ours else model.title,
        settings_of(first),
        str(len(group)),
        with_spread([row["test"]["roc_auc"] for row in group]),
        with_spread([row["test"]["log_loss"] for row in group]),
        average("epochs"),
        average("fit_seconds"),
        average("predict_rows_per_second"),
        average("peak_memory_mib"),
        average("parameters_trained"),
    ]


def render_tuning(
    name: str, groups: dict[tuple[str, str], list[Record]], trials: list[Record]
) -> Iterator[str]:
    """Yield what tuning brought: the best trial of every model beside its defaults."""
    lines = []
    for (model, _), tried in group_trials(trials).items():
        best = min(tried, key=lambda row: validation_cost(row, name))
        first = [row for row in tried if not row["parameters"]] or [best]
        lines.append(
            [
                f"**{MODELS[model].title}**" if MODELS[model].ours else MODELS[model].title,
                str(len(tried)),
                measures(first[:1], "validation"),
                measures([best], "validation"),
                measures(groups.get((model, "{}"), []), "test"),
                measures(groups.get((model, json.dumps(best["parameters"])), []), "test"),
                show_parameters(best["parameters"]),
            ]
        )
    if lines:
        yield "*Tuning*, AUC / log loss:"
        yield make_table(
            [
                "model",
                "trials",
                "validation, default",
                "validation, tuned",
                "test, default",
                "test, tuned",
                "settings",
            ],
            lines,
        )


def measures(group: Sequence[Record], part: str) -> str:
    """Return the mean AUC and log loss of a group, or nothing."""
    if not group:
        return ""
    values = [mean(row[part][key] for row in group) for key in ("roc_auc", "log_loss")]
    return " / ".join(map(four_digits, values))


def show_parameters(parameters: dict[str, Any]) -> str:
    """Return settings as code."""

    def show(value: Any) -> str:
        return f"{value:.2g}" if isinstance(value, float) else repr(value)

    text = ", ".join(f"{name}={show(value)}" for name, value in parameters.items())
    return f"`{text}`" if text else "defaults"


def with_spread(values: list[float]) -> str:
    """Return a mean and the standard deviation, if there is one."""
    text = four_digits(mean(values))
    return f"{text} ± {stdev(values):.4f}".replace(" 0.", " .") if len(values) > 1 else text
