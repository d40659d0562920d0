"""The Python blocks of README and of the documentation run, page by page, on few rows.

So do the examples of the gallery, which the build of the documentation runs on all of their rows.
"""

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import pytest

import sparsectr
from sparsectr import datasets, metrics

MODULES = [sparsectr, datasets, metrics]
ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = sorted((ROOT / "examples" / "gallery").glob("plot_*.py"))
EXAMPLE_LINES = 80
# A block that cannot run here has a comment in front of it that says why.
BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+) -->\n)?```python\n(?P<code>.*?)^```", re.M | re.S
)
# Numbers of rows, as they are written in the pages.
LARGE = re.compile(r"\b\d{1,3}(?:_\d{3})+\b")
N_ROWS = 2_000


class Block(NamedTuple):
    line: int
    code: str
    reason: str | None


def blocks(page: str) -> list[Block]:
    return [
        Block(page.count("\n", 0, match.start("code")) + 1, match["code"], match["reason"])
        for match in BLOCK.finditer(page)
    ]


def runnable(page: Path) -> bool:
    return any(block.reason is None for block in blocks(page.read_text("utf-8")))


def load_few_flights(*, return_X_y):
    X, y = FLIGHTS
    rows = X.sample(N_ROWS + 500, random_state=1).index  # some beyond those that pages draw
    return X.loc[rows].reset_index(drop=True), y[rows].reset_index(drop=True)


def missing_libraries(script: str) -> list[str]:
    """Names of imported libraries that are not installed: the oldest environment has few."""
    names = re.findall(r"^(?:import|from) (\w+)", script, re.M)
    return [name for name in names if not find_spec(name)]


FLIGHTS = datasets.load_flights(return_X_y=True)


@pytest.fixture
def few_rows(monkeypatch, tmp_path):
    plt.switch_backend("agg")
    monkeypatch.chdir(tmp_path)  # where pages save their files
    monkeypatch.setattr(datasets, "load_flights", load_few_flights)
    yield
    plt.close("all")


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if runnable(page)],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_blocks_of_a_page_run_in_its_order(page, few_rows):
    names = {"__name__": "__main__"}
    for line, code, reason in blocks(page.read_text("utf-8")):
        if reason is None:
            # Blank lines in front, so that a traceback tells the line of the page.
            source = "\n" * (line - 1) + LARGE.sub(str(N_ROWS), code)
            exec(compile(source, page.name, "exec"), names)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_examples_of_the_gallery_run(path, few_rows):
    script = path.read_text("utf-8")
    if missing := missing_libraries(script):
        pytest.skip(f"needs {', '.join(missing)}")
    names = {"__name__": "__main__"}
    exec(compile(LARGE.sub(str(N_ROWS), script), path.name, "exec"), names)
    assert len(plt.get_fignums()) >= 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_of_the_gallery_are_short(path):
    assert len(path.read_text("utf-8").splitlines()) < EXAMPLE_LINES


def test_missing_libraries_are_found():
    script = "import re\nfrom no_such_library.part import name\nimport numpy as np\n"
    assert missing_libraries(script) == ["no_such_library"]


def test_every_public_name_is_in_the_reference_once():
    page = (ROOT / "docs" / "api" / "index.md").read_text("utf-8")
    listed = re.findall(r"^   (sparsectr\.[\w.]+)$", page, re.M)
    public = [f"{module.__name__}.{name}" for module in MODULES for name in module.__all__]
    assert sorted(listed) == sorted(public)


def test_the_page_of_dependencies_lists_all_with_their_bounds():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    listed = set(re.findall(r"^\| ([a-z-]+) \| ([\d.]+) \|", page, re.M))
    assert listed == {tuple(line.split(">=")) for line in project["dependencies"]}
    extras = set(re.findall(r"^\| `([a-z]+)` \| ([a-z]+) ([\d.]+) \|", page, re.M))
    assert extras == {
        (extra, *line.split(">="))
        for extra, lines in project["optional-dependencies"].items()
        for line in lines
    }


def test_blocks_are_found_with_their_lines_and_reasons():
    page = "text\n```python\na = 1\n```\n<!-- not run: no network -->\n```python\nb\n```\n"
    assert blocks(page) == [Block(3, "a = 1\n", None), Block(7, "b\n", "no network")]
    assert LARGE.sub("7", "make(200_000, 50, x_1)") == "make(7, 50, x_1)"
