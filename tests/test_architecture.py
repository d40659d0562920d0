"""The layout rules of the package, as tests. Reasons: docs/decisions.md."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]

MODULE_LINES = 400
# Longer with docstrings, and why. Beside docstrings, the limit holds for all.
LONG_MODULES = {
    # 21 constructor parameters and fitted attributes, and what encoding is made of.
    "sparsectr/encoding/field_encoder.py": 680,
    # The documentation of 10 parameters and of 5 public methods is a third of it.
    "sparsectr/interactions/features.py": 510,
    # Constructor and attributes of the ensemble.
    "sparsectr/ensembles/cross_ensemble.py": 440,
    # A net with what kernels, reports and search ask of it.
    "sparsectr/methods/optfeature/net.py": 420,
}
FUNCTION_LINES = 60
MODULE_CLASS_ARGUMENTS = 6

# Layer -> the other layers it may import. A layer is a folder or a module beside base.py.
LAYERS = {
    "kernels": set(),
    # What training compares logits and targets by: every row knows its own.
    "losses": {"kernels"},
    "rows": {"losses"},
    "nn": {"kernels"},
    "training": {"losses", "nn", "kernels", "rows"},
    # Which processes fit together, and what they must have in common.
    "process_groups": {"training"},
    "same_fit": {"rows", "training"},
    # How every estimator fits: as a whole or not at all.
    "drafts": set(),
    # Warnings of our own, and where they point.
    "exceptions": set(),
    # Every estimator is stored, and checked when it comes back.
    "stored_state": set(),
    "encoding": {"drafts", "exceptions", "parameters", "stored_state"},
    # Crosses are made of codes, and InteractionFeatures is an estimator: parameters, labels.
    "interactions": {"drafts", "encoding", "parameters", "stored_state", "targets"},
    "datasets": set(),
    "metrics": set(),
    # The pieces of base.py that have names of their own.
    # How far a fit is, shown to those who wait.
    "progress": set(),
    "callbacks": {"progress"},
    "parameters": set(),
    # A mean of nets is stored as its members.
    "persistence": {"nn", "parameters", "stored_state"},
    # What leaves this process knows what is fitted, and no estimator by name.
    "export": {"encoding", "nn", "parameters", "targets"},
    # Losses are what nets are trained on, metrics what they are watched by.
    "targets": {"losses", "metrics", "parameters", "training"},
    # Constructor parameters: how an encoder is checked.
    "shared_parameters": {"encoding", "parameters"},
    # What any classifier has not learnt: codes, and the statistics of the search.
    "screening": {"encoding", "training", "parameters", "targets"},
    # An object that owns what is measured of a fit. kernels: reports keep torch to one thread.
    "explanation": {
        "encoding",
        "interactions",
        "kernels",
        "nn",
        "parameters",
        "rows",
        "targets",
        "training",
    },
    # From tables to codes and logits.
    "tables": {"encoding", "parameters", "persistence", "rows", "targets", "training"},
    # Predictions of rows that are read batch by batch.
    "file_prediction": {"drafts", "encoding", "parameters", "tables"},
    # What a fit will need, from vocabularies alone.
    "memory_estimates": {
        "drafts",
        "early_stopping",
        "encoding",
        "persistence",
        "shared_parameters",
        "tables",
        "targets",
        "training",
    },
    # The public methods that ask an explanation, and when it is measured.
    "reports": {
        "drafts",
        "explanation",
        "interactions",
        "kernels",
        "nn",
        "parameters",
        "rows",
        "tables",
        "targets",
    },
    # kernels: how long they were compiled is reported by verbose; how many threads work. nn: the
    # mean of several nets.
    "base": {
        "checkpoints",
        "drafts",
        "early_stopping",
        "file_prediction",
        "kernels",
        "memory_estimates",
        "nn",
        "rows",
        "encoding",
        "training",
        "callbacks",
        "reports",
        "parameters",
        "persistence",
        "process_groups",
        "same_fit",
        "shared_parameters",
        "targets",
    },
    # What makes two fits the same one.
    "checkpoints": {"kernels", "rows", "shared_parameters", "training"},
    # A piece of base.py with a name of its own.
    "early_stopping": {
        "encoding",
        "parameters",
        "rows",
        "shared_parameters",
        "targets",
        "training",
    },
    # What is predicted, on top of the base, which does not know.
    # encoding: what a table may be is in every signature.
    "classification": {
        "base",
        "drafts",
        "encoding",
        "export",
        "kernels",
        "parameters",
        "targets",
        "training",
    },
    "regression": {"base", "drafts", "encoding", "export", "kernels", "parameters", "targets"},
    # What other packages are told about the estimators.
    "conversion": {"export", "methods"},
    # encoding: an estimator names FieldEncoder in its signature. kernels: as explanation.
    "methods": {
        "base",
        "classification",
        "regression",
        "drafts",
        "encoding",
        "interactions",
        "kernels",
        "nn",
        "parameters",
        "rows",
        "training",
    },
    # What is public, and how every estimator of ours reads tables, labels and parameters.
    "ensembles": {
        "drafts",
        "encoding",
        "interactions",
        "methods",
        "parameters",
        "screening",
        "stored_state",
        "targets",
    },
}
# The only folders that may use numba and Triton; sparsectr/kernels/fused.py imports them when
# they are needed.
FUSED = {
    "sparsectr/kernels/cpu/": {"numba", "llvmlite"},
    "sparsectr/kernels/gpu/": {"triton"},
}
TORCH_ONLY = {"kernels", "losses", "nn", "rows", "training"}
# In the folder of a method, what alone knows scikit-learn, pandas and the estimator contract. The
# rest is torch, and imports what a net and its training are made of.
ESTIMATORS = {"estimator", "classifier", "regressor"}
BELOW_ESTIMATORS = {"nn", "training", "kernels", "rows"}
WITHOUT_TORCH = {
    "encoding",
    "interactions",
    "datasets",
    "metrics",
    "callbacks",
    "drafts",
    "ensembles",
    "exceptions",
    "parameters",
    "stored_state",
    "targets",
}
# Optional packages, imported where they are needed.
LOCAL_IMPORTS = {"sparsectr/interactions/display.py": ["matplotlib.pyplot"]}
# What takes its type and its device from torch's global defaults where they are not named.
FACTORIES = {
    *("arange", "as_tensor", "empty", "eye", "full", "linspace", "logspace", "normal", "ones"),
    *("rand", "randn", "scalar_tensor", "tensor", "zeros"),
}
RECORDS = {"NamedTuple", "TypedDict", "Protocol", "Enum", "StrEnum", "IntEnum"}


class Violation(NamedTuple):
    path: str
    line: int
    rule: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}"


class Module(NamedTuple):
    name: str  # dotted
    path: str
    source: str
    tree: ast.Module

    @property
    def layer(self) -> str:
        """First name below the package; empty for the package root."""
        return self.name.partition(".")[2].split(".")[0]

    @property
    def method(self) -> str:
        """Name of the method that the module belongs to; empty outside ``methods``."""
        parts = self.name.split(".")
        return parts[2] if self.layer == "methods" and len(parts) > 2 else ""

    @property
    def is_inside_method(self) -> bool:
        """Whether the module lies in the folder of a method and holds no estimator."""
        parts = self.name.split(".")
        return bool(self.method) and len(parts) > 3 and parts[3] not in ESTIMATORS


def parse(files: dict[str, str]) -> dict[str, Module]:
    modules = {}
    for path, source in files.items():
        name = path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        modules[name] = Module(name, path, source, ast.parse(source, path))
    return modules


def check(files: dict[str, str]) -> list[Violation]:
    """Find every violation in a package given as {path: source}."""
    modules = parse(files)
    module_classes = find_module_classes(modules)
    found = list(check_cycles(modules))
    for module in modules.values():
        found += check_layer(module, modules)
        found += check_imports(module)
        found += check_lengths(module)
        found += check_classes(module, module_classes)
        found += check_calls(module)
        found += check_factories(module)
    return found


# Imports ---------------------------------------------------------------------------------


def imported_names(node: ast.AST) -> list[str]:
    """Dotted names that an import statement mentions, absolute ones only."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def imports_of_ours(module: Module, modules: dict[str, Module]) -> Iterator[tuple[int, str]]:
    """Line and name of each module of the package that is imported."""
    for node in ast.walk(module.tree):
        for name in imported_names(node):
            if name in modules:
                yield node.lineno, name
            elif (parent := name.rpartition(".")[0]) in modules:
                yield node.lineno, parent


def check_layer(module: Module, modules: dict[str, Module]) -> Iterator[Violation]:
    if module.layer == "":
        return
    if module.layer not in LAYERS:
        layers = ", ".join(LAYERS)
        yield Violation(module.path, 1, f"{module.layer} is none of the known layers: {layers}")
        return
    for line, name in imports_of_ours(module, modules):
        layer = modules[name].layer
        if layer == module.layer == "methods":
            if modules[name].method != module.method:
                yield Violation(module.path, line, f"a method must not import another ({name})")
        elif module.is_inside_method and layer not in BELOW_ESTIMATORS:
            rule = f"only the estimators of a method may import {layer} ({name})"
            yield Violation(module.path, line, rule)
        elif layer not in {"", module.layer} | LAYERS[module.layer]:
            yield Violation(module.path, line, f"{module.layer} must not import {layer} ({name})")
    for node in ast.walk(module.tree):
        for name in imported_names(node):
            top = name.split(".")[0]
            if module.layer in WITHOUT_TORCH and top == "torch":
                yield Violation(module.path, node.lineno, f"{module.layer} must not import torch")
            known = {"sparsectr", "torch", "numpy"} | sys.stdlib_module_names
            for folder, packages in FUSED.items():
                if module.path.startswith(folder):
                    known |= packages
            is_torch_only = module.layer in TORCH_ONLY or module.is_inside_method
            if is_torch_only and top not in known:
                rule = f"{module.layer} may use torch and numpy only, not {top}"
                yield Violation(module.path, node.lineno, rule)


def check_imports(module: Module) -> Iterator[Violation]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.level > 0:
            yield Violation(module.path, node.lineno, "imports must be absolute")
        from_root = isinstance(node, ast.ImportFrom) and node.module == "sparsectr"
        if from_root or "sparsectr" in imported_names(node):
            yield Violation(module.path, node.lineno, "the package root must not be imported")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    if imported_names(inner) == LOCAL_IMPORTS.get(module.path):
                        continue
                    rule = f"imports must not stand inside functions ({node.name})"
                    yield Violation(module.path, inner.lineno, rule)


def check_cycles(modules: dict[str, Module]) -> Iterator[Violation]:
    """Take away modules that import no other one left, until none is left or a cycle is."""
    edges = {
        name: {target: line for line, target in imports_of_ours(module, modules)}
        for name, module in modules.items()
    }
    while free := [name for name, targets in edges.items() if not targets.keys() & edges.keys()]:
        for name in free:
            del edges[name]
    for name, targets in edges.items():
        for target in sorted(targets.keys() & edges.keys()):
            rule = f"imports must form no cycle ({name} -> {target})"
            yield Violation(modules[name].path, targets[target], rule)


# Sizes -----------------------------------------------------------------------------------


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement behind the docstring to the end."""
    body = function.body
    if ast.get_docstring(function, clean=False) is not None:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def docstring_lines(tree: ast.Module) -> int:
    """Lines of all docstrings: a duty for public names, so not held against a module."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [
        node.body[0]
        for node in ast.walk(tree)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None
    ]
    return sum(text.end_lineno - text.lineno + 1 for text in texts)


def check_lengths(module: Module) -> Iterator[Violation]:
    n_all = len(module.source.splitlines())
    most = LONG_MODULES.get(module.path, MODULE_LINES)
    if n_all > most:
        rule = f"a module must have at most {most} lines, this one has {n_all}"
        yield Violation(module.path, most + 1, rule)
    n_lines = n_all - docstring_lines(module.tree)
    if most > MODULE_LINES and n_lines > MODULE_LINES:
        rule = (
            f"a module must have at most {MODULE_LINES} lines beside its docstrings, "
            f"this one has {n_lines}"
        )
        yield Violation(module.path, MODULE_LINES + 1, rule)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            n_lines = body_lines(node)
            if n_lines > FUNCTION_LINES:
                rule = (
                    f"a function body must have at most {FUNCTION_LINES} lines, "
                    f"that of {node.name} has {n_lines}"
                )
                yield Violation(module.path, node.lineno, rule)


# Classes ---------------------------------------------------------------------------------


def last_name(node: ast.expr) -> str:
    """Last part of a base class or decorator: Module for nn.Module, Base for Base[int]."""
    while isinstance(node, ast.Subscript | ast.Call):
        node = node.value if isinstance(node, ast.Subscript) else node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def find_module_classes(modules: dict[str, Module]) -> set[str]:
    """Names of the classes of the package that descend from nn.Module."""
    bases = {
        node.name: {last_name(base) for base in node.bases}
        for module in modules.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    }
    found = {"Module"}
    while new := {name for name, of in bases.items() if of & found} - found:
        found |= new
    return found


def is_record(node: ast.ClassDef) -> bool:
    names = {last_name(base) for base in node.bases}
    return bool(names & RECORDS) or "dataclass" in {last_name(d) for d in node.decorator_list}


def check_classes(module: Module, module_classes: set[str]) -> Iterator[Violation]:
    classes = [node for node in module.tree.body if isinstance(node, ast.ClassDef)]
    public = [
        node
        for node in classes
        if not (node.name.startswith("_") or node.name.endswith("Net") or is_record(node))
    ]
    # nn/ and the nets of methods hold families: the variants of a layer stand side by side.
    may_hold_families = module.layer == "nn" or module.is_inside_method
    for node in public[1:] if not may_hold_families else []:
        rule = f"one public class per module: {node.name} comes after {public[0].name}"
        yield Violation(module.path, node.lineno, rule)

    for node in ast.walk(module.tree):
        if not isinstance(node, ast.ClassDef):
            continue
        for method in node.body:
            if not isinstance(method, ast.FunctionDef) or method.name != "__init__":
                continue
            arguments = method.args
            if arguments.kwarg is not None:
                rule = f"__init__ of {node.name} must not take **{arguments.kwarg.arg}"
                yield Violation(module.path, method.lineno, rule)
            n = len(arguments.posonlyargs + arguments.args + arguments.kwonlyargs) - 1
            if node.name in module_classes and n > MODULE_CLASS_ARGUMENTS:
                rule = (
                    f"an nn.Module must take at most {MODULE_CLASS_ARGUMENTS} arguments, "
                    f"{node.name} takes {n}"
                )
                yield Violation(module.path, method.lineno, rule)


# Statements ------------------------------------------------------------------------------


def check_calls(module: Module) -> Iterator[Violation]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Assert):
            yield Violation(module.path, node.lineno, "no assert: raise ValueError or TypeError")
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
            yield Violation(module.path, node.lineno, "no print")


def check_factories(module: Module) -> Iterator[Violation]:
    """Find tensors whose type or device is whatever the process has set as torch's default."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        name = node.func.attr
        if getattr(node.func.value, "id", "") == "torch" and name in FACTORIES:
            missing = {"dtype", "device"} - {keyword.arg for keyword in node.keywords}
            if missing:
                rule = f"torch.{name} must name its {' and '.join(sorted(missing))}"
                yield Violation(module.path, node.lineno, rule)


# The package follows the rules -----------------------------------------------------------


def test_package_follows_the_layout_rules():
    files = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted((ROOT / "sparsectr").rglob("*.py"))
    }
    assert "sparsectr/__init__.py" in files
    violations = check(files)
    assert not violations, "\n" + "\n".join(map(str, violations))


# The checker finds what it should --------------------------------------------------------

CLEAN = {
    "sparsectr/__init__.py": "from sparsectr.methods.a import AClassifier\n",
    "sparsectr/base.py": (
        "from torch import nn\n"
        "from sparsectr.encoding.columns import Column\n"
        "def fit():\n    '''Say\n" + "\n" * 70 + "    much.'''\n    return 1\n"
    ),
    "sparsectr/encoding/columns.py": (
        "import numpy as np\n"
        "from typing import NamedTuple\n"
        "class Column:\n    def show(self): self.print()\n"
        "class Record(NamedTuple):\n    n: int\n"
        "class _Helper: pass\n"
    ),
    "sparsectr/kernels/rows.py": "import math\nimport torch\n",
    "sparsectr/methods/a.py": (
        "from torch import nn\n"
        "from sparsectr.base import fit\n"
        "from sparsectr.nn.mlp import MLP\n"
        "class ANet(MLP):\n    def __init__(self, a, b, c, d, e, *, f): pass\n"
        "class AClassifier:\n    def __init__(self, a, b, c, d, e, f, g): pass\n"
    ),
    "sparsectr/methods/b.py": "",
    "sparsectr/classification.py": "from sparsectr.base import fit\n",
    "sparsectr/methods/c/classifier.py": (
        "from sparsectr.classification import fit\n"
        "from sparsectr.methods.c.estimator import CEstimator\n"
        "class CClassifier: pass\n"
    ),
    "sparsectr/methods/c/estimator.py": (
        "import pandas\n"
        "from sparsectr.base import fit\n"
        "from sparsectr.methods.c.net import CNet\n"
        "class CEstimator: pass\n"
    ),
    "sparsectr/methods/c/net.py": (
        "import torch\n"
        "from sparsectr.training.loop import run\n"
        "class CNet: pass\n"
        "class Part: pass\n"
    ),
    "sparsectr/nn/mlp.py": "from torch import nn\nclass MLP(nn.Module): pass\n",
    "sparsectr/rows/orders.py": "import torch\n",
    "sparsectr/training/loop.py": (
        "from sparsectr.nn.mlp import MLP\nfrom sparsectr.rows.orders import shuffle\n"
    ),
}


def test_checker_accepts_a_clean_package():
    assert check(CLEAN) == []


@pytest.mark.parametrize(
    ("path", "source", "line", "rule"),
    [
        ("encoding/x.py", "import numpy\nimport torch.nn", 2, "encoding must not import torch"),
        ("encoding/x.py", "from torch import nn", 1, "encoding must not import torch"),
        ("training/x.py", "import pandas", 1, "training may use torch and numpy only, not pandas"),
        ("kernels/x.py", "import numba", 1, "kernels may use torch and numpy only, not numba"),
        ("kernels/cpu/x.py", "import numba\nimport pandas", 2, "not pandas"),
        ("kernels/x.py", "from sparsectr.nn.mlp import MLP", 1, "kernels must not import nn"),
        ("nn/x.py", "import sparsectr.training.loop", 1, "nn must not import training"),
        ("rows/x.py", "import pandas", 1, "rows may use torch and numpy only, not pandas"),
        ("rows/x.py", "import sparsectr.training.loop", 1, "rows must not import training"),
        ("nn/x.py", "import sparsectr.rows.orders", 1, "nn must not import rows"),
        ("training/x.py", "from sparsectr.nn import mlp\nimport sparsectr.base", 2, "import base"),
        ("base.py", "from sparsectr.methods import b", 1, "base must not import methods"),
        ("classification.py", "from sparsectr.methods import b", 1, "must not import methods"),
        ("targets/x.py", "from sparsectr.base import fit", 1, "targets must not import base"),
        ("targets/x.py", "import torch", 1, "targets must not import torch"),
        ("methods/b.py", "from sparsectr.methods.a import ANet", 1, "must not import another"),
        ("ensembles/x.py", "from sparsectr.training.loop import run", 1, "not import training"),
        ("ensembles/x.py", "import torch", 1, "ensembles must not import torch"),
        ("methods/b.py", "from sparsectr.ensembles.x import f", 1, "must not import ensembles"),
        ("methods/c/net.py", "import pandas", 1, "may use torch and numpy only, not pandas"),
        (
            "methods/c/net.py",
            "from sparsectr.base import fit",
            1,
            "only the estimators of a method",
        ),
        ("methods/c/net.py", "from sparsectr.methods.b import f", 1, "must not import another"),
        ("methods/b.py", "from sparsectr.methods.c.net import CNet", 1, "must not import another"),
        ("folder/x.py", "", 1, "folder is none of the known layers"),
        ("nn/x.py", "\nfrom .mlp import MLP", 2, "imports must be absolute"),
        ("nn/x.py", "from sparsectr import AClassifier", 1, "package root must not be imported"),
        ("nn/x.py", "import sparsectr", 1, "package root must not be imported"),
        ("nn/x.py", "def f():\n    import math", 2, "must not stand inside functions (f)"),
        ("interactions/display.py", "def f():\n    import polars", 2, "inside functions (f)"),
        ("interactions/x.py", "def f():\n    import matplotlib.pyplot", 2, "inside functions (f)"),
        ("kernels/rows.py", "from sparsectr.kernels.x import f", 1, "must form no cycle"),
        ("nn/x.py", "\n" * 401, 401, "at most 400 lines, this one has 401"),
        ("nn/x.py", "'''" + "\n" * 400 + "'''", 401, "at most 400 lines, this one has 401"),
        (
            "interactions/features.py",
            "\n" * 401,
            401,
            "400 lines beside its docstrings, this one has 401",
        ),
        ("nn/x.py", "def f():\n" + "    1\n" * 61, 1, "at most 60 lines, that of f has 61"),
        ("training/x.py", "class A: pass\nclass B: pass", 2, "B comes after A"),
        (
            "nn/x.py",
            "class B(MLP):\n    def __init__(self, a, b, c, d, e, *, f, g): pass",
            2,
            "at most 6 arguments, B takes 7",
        ),
        ("base.py", "class B:\n    def __init__(self, **rest): pass", 2, "must not take **rest"),
        ("base.py", "print(1)", 1, "no print"),
        ("base.py", "x = 1\nassert x", 2, "no assert"),
        ("nn/x.py", "torch.zeros(1)", 1, "torch.zeros must name its device and dtype"),
        ("nn/x.py", "torch.arange(n, dtype=torch.int64)", 1, "torch.arange must name its device"),
        ("nn/x.py", "f(torch.tensor([1.0], device=x.device))", 1, "tensor must name its dtype"),
    ],
)
def test_checker_finds_a_planted_violation(path, source, line, rule):
    # Closes the cycle of one of the cases and is harmless in the others.
    other = {"sparsectr/kernels/x.py": "from sparsectr.kernels.rows import g"}
    other |= {"sparsectr/ensembles/x.py": "from sparsectr.methods.c.classifier import CClassifier"}
    found = check(CLEAN | other | {f"sparsectr/{path}": source})
    ours = [violation for violation in found if violation.path == f"sparsectr/{path}"]
    assert len(ours) == 1, found
    assert ours[0].line == line
    assert rule in ours[0].rule
    assert str(ours[0]).startswith(f"sparsectr/{path}:{line}: ")


# Versions --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def _requirements(lines):
    return {r.name: r for r in (Requirement(line) for line in lines if isinstance(line, str))}


def test_oldest_versions_are_the_lower_bounds(pyproject):
    groups = pyproject["dependency-groups"]
    oldest = _requirements(groups["oldest"])
    bounds = _requirements(pyproject["project"]["dependencies"])
    assert oldest.keys() == _requirements(groups["latest"]).keys() == bounds.keys() - {"torch"}
    for name, pinned in oldest.items():
        (bound,) = bounds[name].specifier
        (pin,) = pinned.specifier
        assert bound.operator == ">=", f"{name} must have a lower bound only, got {bound}"
        assert pin.operator == "=="
        assert Version(bound.version) == Version(pin.version), name


def test_torch_comes_first_wherever_it_is_installed(pyproject):
    groups = pyproject["dependency-groups"]
    with_torch = {name for name, group in groups.items() if {"include-group": "torch"} in group}
    assert with_torch == {"latest", "oldest"}
    for name in with_torch:
        assert groups[name][0] == {"include-group": "torch"}
    for name, group in groups.items():
        for entry in group[1:]:
            included = entry.get("include-group") if isinstance(entry, dict) else None
            assert included not in with_torch, f"{name} must include {included} first"


def test_every_development_version_is_pinned_and_the_same_in_all_groups(pyproject):
    pins = {}
    for group, lines in pyproject["dependency-groups"].items():
        for name, requirement in _requirements(lines).items():
            assert [pin.operator for pin in requirement.specifier] == ["=="], (group, name)
            if "oldest" not in group:
                assert pins.setdefault(name, requirement.specifier) == requirement.specifier, name
