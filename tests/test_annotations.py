"""What is said of parameters: types in annotations, shapes in docstrings."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Kernels take arrays of numba's, and what tables of arrays they are made of; Triton reads the
# annotations of its kernels itself.
WITHOUT_TYPES = ("sparsectr/kernels/cpu/", "sparsectr/kernels/gpu/")
LARGEST_SHARE = 0.1


def names_in(node):
    """Return the names in an annotation, also in one that is written as a string."""
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str) and part is node:
            found |= names_in(ast.parse(part.value, mode="eval"))
    return found


def find_aliases(tree):
    """Return the names of a module that stand for something with Any in it."""
    aliases = {"Any"}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(node.value, ast.Subscript | ast.BinOp) and names_in(node.value) & aliases:
                aliases.add(target.id)
    return aliases


def list_parameters(source):
    """Yield function, parameter and whether it may be anything, or part of it may."""
    tree = ast.parse(source)
    aliases = find_aliases(tree)
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        of = function.args
        others = [argument for argument in (of.vararg, of.kwarg) if argument]
        for argument in of.posonlyargs + of.args + of.kwonlyargs + others:
            if argument.annotation is not None:
                yield function.name, argument.arg, bool(names_in(argument.annotation) & aliases)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(x: int, y: Any): pass", [False, True]),
        ("def f(x: 'Any', *y: dict[str, Any], **z: str): pass", [True, True, False]),
        ("Array = NDArray[Any]\nPlain = NDArray[int]\ndef f(x: Array, y: Plain): pass", [1, 0]),
        ("class A:\n    def f(self, x: Sequence[Any] | None): pass", [True]),
    ],
)
def test_parameters_are_counted(source, expected):
    assert [may_be_anything for _, _, may_be_anything in list_parameters(source)] == expected


def test_few_parameters_may_be_anything():
    counted, anything = 0, []
    for path in sorted((ROOT / "sparsectr").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(WITHOUT_TYPES):
            continue
        for function, argument, may_be in list_parameters(path.read_text(encoding="utf-8")):
            counted += 1
            anything += [f"{name}: {function}({argument})"] if may_be else []
    assert counted > 1_000
    share = len(anything) / counted
    assert share < LARGEST_SHARE, f"{share:.1%} of {counted} parameters:\n" + "\n".join(anything)


# Shapes -----------------------------------------------------------------------------------

ARRAYS = {"Array", "ArrayLike", "Floats", "NDArray", "Numbers", "TableLike", "Tensor"}
SHAPE = r"\((?:[\w*+\-./' ]+,)*[\w*+\-./' ]*\)"
# The docstring of what is overridden, or of what is fused, has the shapes.
ELSEWHERE = re.compile(r"see the reference|see `\w+`|as (?:in|those of) `")
SMALLEST_SHARE_WITH_SHAPE = 0.9


def documented_functions(tree):
    """Yield public functions and methods, constructors included, with their docstrings."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node, ast.get_docstring(node) or ""
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    is_made = method.name == "__init__"
                    if is_made or not method.name.startswith("_"):
                        yield method, ast.get_docstring(node if is_made else method) or ""


def array_parameters(function):
    of = function.args
    for argument in of.posonlyargs + of.args + of.kwonlyargs:
        annotation = argument.annotation
        if annotation is not None:
            parts = list(ast.walk(annotation))
            attributes = {part.attr for part in parts if isinstance(part, ast.Attribute)}
            if (names_in(annotation) | attributes) & ARRAYS:
                yield argument.arg


def has_shape(name, doc, *, alone):
    """Tell whether a docstring says which shape a parameter has.

    In its entry under Parameters; or, in a docstring without that section, behind its name, or
    anywhere if it is the only array.
    """
    entry = re.search(rf"(?m)^(?:[\w ]+, )*{name}(?:, [\w ]+)* : (.*(?:\n(?: {{4}}.*)?)*)", doc)
    if entry:
        return "shape" in entry[1] or bool(re.search(SHAPE, entry[1]))
    if ELSEWHERE.search(doc) or (alone and re.search(SHAPE, doc)):
        return True
    return bool(re.search(rf"\b{name}\b[^.:]{{0,60}}?{SHAPE}", doc))


def without_shape(source):
    """Return how many array parameters a module has, and those whose shape is not documented."""
    counted, missing = 0, []
    for function, doc in documented_functions(ast.parse(source)):
        names = list(array_parameters(function))
        counted += len(names)
        missing += [
            f"{function.name}({name})"
            for name in names
            if not has_shape(name, doc, alone=len(names) == 1)
        ]
    return counted, missing


PARAMETERS = '''
def f(x: Tensor, y: NDArray[int], n: int):
    """Do.

    Parameters
    ----------
    x : Tensor of shape (n, F)
        One.
    y : ndarray
        Two.
    """
'''


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        (PARAMETERS, ["f(y)"]),
        ("def f(x: Tensor):\n    'Return logits (B, K).'", []),
        ("def f(x: Tensor):\n    'Return logits.'", ["f(x)"]),
        ("def f(x: Tensor, y: Tensor):\n    'Add x (n,) to y.'", ["f(y)"]),
        ("def f(x: Tensor, y: Tensor):\n    'Add x (n,) to y (n, 1).'", []),
        ("class A:\n    def f(self, x: 'Tensor | None'):\n        'Do; see `Base`.'", []),
        ("class A:\n    'Do.'\n    def __init__(self, x: npt.ArrayLike): pass", ["__init__(x)"]),
        ("def _f(x: Tensor): pass", []),
    ],
)
def test_missing_shapes_are_found(source, missing):
    assert without_shape(source)[1] == missing


def test_array_parameters_say_their_shape():
    counted, found = 0, []
    for path in sorted((ROOT / "sparsectr").rglob("*.py")):
        name = path.relative_to(ROOT).as_posix()
        if not name.startswith(WITHOUT_TYPES):
            n, missing = without_shape(path.read_text(encoding="utf-8"))
            counted += n
            found += [f"{name}: {entry}" for entry in missing]
    assert counted > 300
    share = 1 - len(found) / counted
    assert share >= SMALLEST_SHARE_WITH_SHAPE, f"{share:.1%} of {counted}:\n" + "\n".join(found)
