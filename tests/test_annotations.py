"""What the annotations of parameters say."""

import ast
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
