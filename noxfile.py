"""Everything that is run while developing: ``python -m nox -s SESSION``."""

import hashlib
import re
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.error_on_missing_interpreters = True

PYPROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, group: str, *, package: bool = True) -> None:
    """Install a dependency group, and the package as it lies here.

    One pip command for the whole group: torch stands first and keeps its version.
    """
    session.install(*nox.project.dependency_groups(PYPROJECT, group))
    if package:
        session.install("--no-deps", "--editable", ".")


def run_tests(session: nox.Session) -> None:
    # Each worker takes one core, so that workers do not fight over threads.
    session.env["OMP_NUM_THREADS"] = "1"
    session.env["MKL_NUM_THREADS"] = "1"
    session.env["OPENBLAS_NUM_THREADS"] = "1"
    session.run(
        "pytest",
        "--numprocesses=auto",
        "--maxprocesses=4",
        "--doctest-modules",
        *(session.posargs or ["sparsectr", "tests"]),
    )


@nox.session
def quickstart(session: nox.Session) -> None:
    """Run the main job: train on real rows, compare with a baseline, show the crosses."""
    install(session, "latest")
    session.run("python", "examples/quickstart.py", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests and docstring examples with the pinned versions."""
    install(session, "tests")
    run_tests(session)


@nox.session(python="3.11")
def tests_oldest(session: nox.Session) -> None:
    """Run all tests with the lowest supported versions of everything but torch."""
    install(session, "tests-oldest")
    run_tests(session)


@nox.session
def bad_input(session: nox.Session) -> None:
    """Write docs/bad_input.md: what comes of every kind of bad input."""
    install(session, "tests")
    session.run("pytest", "tests/test_bad_input.py", env={"SPARSECTR_WRITE_PAGES": "1"})


@nox.session
def flights(session: nox.Session) -> None:
    """Remake the bundled flights from the package they come from."""
    install(session, "tests", package=False)
    session.run("python", "tools/build_flights.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure: ``nox -s bench -- COMMAND ...``. Accuracy, and its page, without a command."""
    install(session, "bench")
    for words in [session.posargs] if session.posargs else [["run"], ["render"]]:
        session.run("python", "-W", "ignore", "examples/benchmarks/bench.py", *words)


@nox.session
def suite(session: nox.Session) -> None:
    """Measure the defaults of ours and of peers on the development tables."""
    install(session, "suite")
    session.run("python", "examples/benchmarks/bench.py", "suite", *session.posargs)


@nox.session
def serve(session: nox.Session) -> None:
    """Serve a model over HTTP, and measure the service under load."""
    install(session, "tests")
    session.run("python", "examples/serving.py", *session.posargs)


@nox.session
def fuzz(session: nox.Session) -> None:
    """Open 10,000 damaged files of a stored estimator."""
    install(session, "tests")
    session.run("python", "tests/fuzz_stored.py", *(session.posargs or ["10000", "0"]))


@nox.session
def kill(session: nox.Session) -> None:
    """Kill 20 fits of every method at random moments, let them go on, and compare the bits."""
    install(session, "tests")
    session.run("python", "tests/kill_fits.py", *(session.posargs or ["20", "0"]))


@nox.session
def mlflow(session: nox.Session) -> None:
    """Log estimators with MLflow and load them again."""
    install(session, "mlflow")
    session.run("pytest", "tests/integrations/test_mlflow.py", *session.posargs)


@nox.session
def scale(session: nox.Session) -> None:
    """Fit in processes that torchrun, Dask, Ray and Spark start. Spark needs a Java runtime."""
    install(session, "scale")
    session.run("pytest", "tests/integrations/test_engines.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    install(session, "lint", package=False)
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the package, strictly."""
    install(session, "types")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Run the gallery and build the documentation; warnings are errors."""
    install(session, "docs")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def links(session: nox.Session) -> None:
    """Ask whether external links of the documentation lead somewhere. Needs the network."""
    install(session, "docs")
    settings = ["-D", "plot_gallery=0"]
    session.run("sphinx-build", "-b", "linkcheck", *settings, "docs", "docs/_build/links")


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel twice, compare, list what they depend on, and use the wheel elsewhere.

    `SOURCE_DATE_EPOCH` is the time of the last commit, so that the same commit gives the same bytes
    on every machine. "dist" holds both archives and the bill of materials, in CycloneDX.
    """
    install(session, "build", package=False)
    commit_time = session.run("git", "log", "-1", "--format=%ct", external=True, silent=True)
    session.env["SOURCE_DATE_EPOCH"] = commit_time.strip()
    folders = [Path("dist"), Path(session.create_tmp())]
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        session.run("python", "-m", "build", "--outdir", str(folder))
    digests = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        for folder in folders
    ]
    if digests[0] != digests[1]:
        session.error(f"two builds differ: {digests}")
    session.run("twine", "check", "--strict", *map(str, folders[0].iterdir()))
    session.install("--no-deps", "--no-index", "--find-links", "dist", "sparsectr")
    session.run("cyclonedx-py", "environment", "--output-file", "dist/sbom.json")
    script = Path("tools/try_wheel.py").resolve()
    session.chdir(session.create_tmp())
    session.run("python", str(script))


@nox.session(python=["3.11", "3.12", "3.13"])
@nox.parametrize("group", ["oldest", "latest"])
def wheel(session: nox.Session, group: str) -> None:
    """Use the wheel of "dist" with the oldest and with the latest dependencies, and no extras."""
    if group == "oldest" and session.python != "3.11":
        session.skip("the oldest dependencies have no wheels for later versions of Python")
    install(session, group, package=False)
    session.install("--no-deps", "--no-index", "--find-links", "dist", "sparsectr")
    script = Path("tools/try_wheel.py").resolve()
    session.chdir(session.create_tmp())
    session.run("python", "-W", "ignore", str(script))


@nox.session
def audit(session: nox.Session) -> None:
    """Ask whether the dependencies, and what they need, have known faults. Needs the network."""
    install(session, "latest", package=False)
    installed = session.run("python", "-m", "pip", "list", "--format=freeze", silent=True)
    # A build of torch for CPUs alone, "2.13.0+cpu", has the faults of the version.
    listed = re.findall(r"^([\w.-]+==[^+\s]+)", installed, re.MULTILINE)
    requirements = Path(session.create_tmp(), "requirements.txt")
    requirements.write_text("\n".join(listed))
    install(session, "audit", package=False)
    pinned = ["--no-deps", "--disable-pip", "--requirement", str(requirements)]
    session.run("pip-audit", "--strict", *pinned, *session.posargs)
