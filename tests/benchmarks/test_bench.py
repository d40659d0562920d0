"""The commands of the benchmarks."""

import ast
import json
import sys
import tomllib
from pathlib import Path

import bench
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "benchmarks"
GROUPS = ["bench", "suite"]  # of the nox sessions that run the benchmarks
OF_SUITE = ["run", "tune", "render", "reproduce", "paper", "suite"]
# Where a package is imported by another name than it is installed by.
DISTRIBUTIONS = {
    "deepctr_torch": "deepctr-torch",
    "interpret": "interpret-core",
    "sklearn": "scikit-learn",
}


def imported_packages(tree):
    """Yield the top-level packages that a module imports, by statement or by `importlib`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "import_module":
            names = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            yield from (name.split(".")[0] for name in names)


def requirements(groups, name):
    """Return the packages of a dependency group, with those of the groups that it includes."""
    found = set()
    for line in groups[name]:
        if isinstance(line, str):
            found.add(Requirement(line).name)
        else:
            found |= requirements(groups, line["include-group"])
    return found


def test_everything_imported_is_in_a_group_that_nox_installs():
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = groups["dependency-groups"]
    installed = set().union(*(requirements(groups, name) for name in GROUPS))
    ours = {path.stem for path in FOLDER.glob("*.py")} | {"suite", "sparsectr"}
    missing = {}
    for path in FOLDER.rglob("*.py"):
        packages = set(imported_packages(ast.parse(path.read_text(encoding="utf-8"))))
        packages -= ours | set(sys.stdlib_module_names)
        found = {DISTRIBUTIONS.get(name, name) for name in packages}
        if found - installed:
            missing[path.name] = found - installed
    assert not missing


@pytest.mark.parametrize("command", [*OF_SUITE, *bench.MEASUREMENTS])
def test_a_page_refers_to_every_command(command):
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    text = " ".join(" ".join(page.read_text(encoding="utf-8").split()) for page in pages)
    ways = ("bench.py", "nox -s bench --", "nox -s")
    assert any(f"{way} {command} " in text or f"{way} {command}`" in text for way in ways)


def test_every_module_is_a_command_or_imported():
    modules = {path.stem: path for path in FOLDER.glob("*.py")}
    used = {"bench", *bench.SUBJECTS}
    assert used <= set(modules)
    for path in (ROOT / "tests").rglob("*.py"):  # tables that tests draw, too
        used |= set(imported_packages(ast.parse(path.read_text(encoding="utf-8")))) & set(modules)
    for name in sorted(used):
        tree = ast.parse(modules[name].read_text(encoding="utf-8"))
        used |= set(imported_packages(tree)) & set(modules)
    assert used == set(modules)


@pytest.mark.parametrize("subject", bench.SUBJECTS)
def test_a_module_has_the_functions_of_its_commands(subject):
    tree = ast.parse((FOLDER / f"{subject}.py").read_text(encoding="utf-8"))
    documented = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            documented[node.name] = ast.get_docstring(node)
    for command in bench.SUBJECTS[subject]:
        if command == subject:
            assert {"add_arguments", "run"} <= documented.keys()
            text = ast.get_docstring(tree)
        else:
            assert f"add_{command}" in documented
            text = documented[f"run_{command}"]
        # The description of its --help: how it is called, and more.
        assert f"bench.py {command}" in text or f"bench -- {command}" in text


def test_no_command_is_hidden_behind_another():
    with pytest.raises(SystemExit):
        bench.main(["speeds"])
    with pytest.raises(SystemExit):
        bench.main(["render", "--seeds", "0"])


@pytest.mark.parametrize(
    "words",
    [
        ["encoding", "--rows", "200", "--rounds", "1", "--dtype", "object"],
        ["planted", "loss", "--n-rows", "1000", "--seeds", "0", "--cardinality", "5"],
        ["screening", "--tables", "1", "--trials", "0", "--kinds", "zipf"],
        ["variants", "flights", "--n-rows", "400", "--seeds", "0", "--models", "LR"],
    ],
)
def test_a_command_prints_its_figures(words, capsys):
    assert bench.main(words) == 0
    shown = capsys.readouterr().out
    assert any(figure in shown for figure in ("AUC", "rows/s", "told 0.", " of 1 tables"))


def test_variants_are_judged_on_validation_and_test_rows(tmp_path):
    words = ["variants", "flights", "--n-rows", "400", "--seeds", "0", "--models", "AutoFIS"]
    bench.main([*words, "--vary", "c=[0,1000.0]", "--out", str(tmp_path / "lines")])
    kept, removed = (json.loads(line) for line in (tmp_path / "lines").read_text().splitlines())
    assert kept["crosses kept"] > removed["crosses kept"] == 0
    for part in ("validation", "test"):
        assert kept[f"{part} log loss"] != removed[f"{part} log loss"]
        assert 0 <= kept[f"{part} AUC"] <= 1
