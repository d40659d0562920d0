import ast
import multiprocessing
import os
import pickle
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

cache = pytest.importorskip("sparsectr.kernels.cpu.machine.cache", exc_type=ImportError)
numba = pytest.importorskip("numba")

KERNELS = cache.FOLDER
# Of another file than the function that it calls.
CALLER = """
import numpy as np
from sparsectr.kernels.cpu.machine.jit import compiled
from sparsectr.kernels.cpu.dynint.penalty import penalise

@compiled
def total(values, out):
    return penalise(2, 1, 1, 0.5, values, out)  # two pairs of parallel vectors

def value(dtype=np.float32):
    values = np.ones((1, 1, 4), dtype)
    return total(values, np.zeros_like(values))
"""
TELL = """
from sparsectr.kernels.cpu.{module} import total, value
import sys
print(value(), sum(total.stats.cache_hits.values()), total._cache.cache_path)
assert "torch" not in sys.modules
"""


class Copy:
    """A copy of the folder of kernels, imported and changed by processes of their own."""

    def __init__(self, path):
        self.path, self.folder = path, path / "sparsectr" / "kernels" / "cpu"
        shutil.copytree(KERNELS, self.folder, ignore=shutil.ignore_patterns("__pycache__"))
        for package in (self.folder.parent.parent, self.folder.parent):
            (package / "__init__.py").write_text("")
        (self.folder / "caller.py").write_text(CALLER)
        self.home = path / "home"
        self.home.mkdir()

    def environment(self, **more):
        own = {"HOME": str(self.home), "PYTHONPATH": str(self.path), "PYTHONDONTWRITEBYTECODE": "1"}
        # Only the home is set: no other place of this test's user must be touched.
        others = {
            name: value
            for name, value in os.environ.items()
            if name not in {"XDG_CACHE_HOME", "LOCALAPPDATA"} and not name.startswith("NUMBA_")
        }
        return {name: value for name, value in (others | own | more).items() if value is not None}

    def start(self, code, **more):
        return subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=self.path,
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code, **more):
        process = self.start(code, **more)
        out, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        return out.split()

    def value(self, module="caller", **more):
        """Value of the kernel in a new process, how often it was loaded, and from where."""
        value, hits, folder = self.run(TELL.format(module=module), **more)
        return float(value), int(hits), folder

    def double(self):
        """Let the function that is called return twice of what it does."""
        file = self.folder / "dynint" / "penalty.py"
        file.write_text(
            file.read_text().replace("return penalty * abs", "return 2 * penalty * abs")
        )


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "sparsectr"
    root.mkdir(0o700)
    return root


def test_a_change_of_another_file_changes_the_result(copy):
    original = (copy.folder / "dynint" / "penalty.py").read_text()
    value, hits, folder = copy.value()
    assert value == pytest.approx(1)
    assert hits == 0
    if sys.platform == "linux":
        assert Path(folder).parent == copy.home / ".cache" / "sparsectr"
    copy.double()
    assert copy.value()[:2] == pytest.approx((2, 0))
    # As it is after a checkout: the machine code of both is there.
    assert copy.value()[:2] == pytest.approx((2, 1))
    (copy.folder / "dynint" / "penalty.py").write_text(original)
    assert copy.value() == (value, 1, folder)


def test_another_processor_gets_code_of_its_own(copy):
    copy.value()
    assert copy.value(NUMBA_CPU_NAME="generic")[1] == 0
    assert copy.value(NUMBA_OPT="1")[1] == 0
    assert copy.value()[1] == 1


def test_a_module_that_changed_before_it_was_imported_is_not_kept(copy):
    shutil.copy(copy.folder / "caller.py", copy.folder / "later.py")
    change = (
        f"import pathlib; file = pathlib.Path({str(copy.folder / 'dynint' / 'penalty.py')!r})\n"
    )
    change += "file.write_text(file.read_text() + '# changed')\n"
    first = "from sparsectr.kernels.cpu.machine.jit import compiled\n"
    value, hits, folder = copy.run(first + change + TELL.format(module="later"))
    assert (float(value), int(hits), folder) == (pytest.approx(1), 0, "None")


def test_the_given_folder_comes_first(copy, tmp_path):
    given = str(tmp_path / "given" / "deep")
    assert copy.value(NUMBA_CACHE_DIR=given)[2].startswith(given)
    assert copy.value(NUMBA_CACHE_DIR=given)[1] == 1
    assert not list(copy.home.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="owners of folders")
def test_without_a_home_a_private_temporary_folder_serves(copy, tmp_path):
    """Also for root, whom permissions do not stop: a file stands where a folder should."""
    barrier, temporary = tmp_path / "file", tmp_path / "temporary"
    barrier.write_text("")
    temporary.mkdir()
    places = {"HOME": str(barrier), "XDG_CACHE_HOME": str(barrier), "TMPDIR": str(temporary)}
    value, hits, folder = copy.value(**places)
    assert (value, hits) == (pytest.approx(1), 0)
    root = temporary / f"sparsectr-{os.geteuid()}"
    assert Path(folder).parent == root
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert copy.value(**places)[1] == 1
    # What somebody else could have written is not run.
    root.chmod(0o777)
    assert copy.value(**places) == (value, 0, "None")


def test_a_user_without_a_home_has_no_cache_folder(monkeypatch):
    pwd = pytest.importorskip("pwd")
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def find(_):
        raise KeyError("no such user")

    monkeypatch.setattr(pwd, "getpwuid", find)
    assert cache._user_folder()[0] is None


def test_damaged_files_are_replaced(copy):
    value, _, folder = copy.value()
    for kind in ("nbi", "nbc"):
        for file in Path(folder).glob(f"*.{kind}"):
            file.write_bytes(file.read_bytes()[:-40])
        assert copy.value()[:2] == (value, 0)
        assert copy.value()[:2] == (value, 1)


def test_code_of_another_signature_is_not_taken(copy):
    """Two processes that save at once may name the same file."""
    both = "from sparsectr.kernels.cpu.caller import value; import numpy as np\n"
    both += "print(value(), value(np.float64))"
    wanted = copy.run(both)
    (folder,) = (copy.home / ".cache" / "sparsectr").iterdir()
    first, second = sorted(folder.glob("caller.total*.nbc"))
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    assert copy.run(both) == wanted


def test_processes_that_start_together_agree(copy):
    started = [copy.start(TELL.format(module="caller")) for _ in range(3)]
    values = [float(process.communicate(timeout=300)[0].split()[0]) for process in started]
    assert values == [pytest.approx(1)] * 3
    assert copy.value()[1] == 1


# Places ----------------------------------------------------------------------------------


def name(number):
    return f"{number:0{cache.DIGEST_LENGTH}x}"


def test_the_longest_unused_digests_are_deleted(folder):
    for number in range(12):
        (folder / name(number)).mkdir()
        (folder / name(number) / "code").write_text("")
        os.utime(folder / name(number), (1e9 + number, 1e9 + number))
    (folder / "notes").mkdir()
    os.utime(folder / name(3))  # used just now
    assert cache._open(folder, name(99), True) == folder / name(99)
    kept = {name(number) for number in (3, 99, *range(12 - cache.MOST_KEPT + 2, 12))}
    assert {found.name for found in folder.iterdir()} == kept | {"notes"}
    assert len(kept) == cache.MOST_KEPT


@pytest.mark.skipif(os.name != "posix", reason="owners of folders")
def test_a_folder_that_others_can_write_is_not_trusted(folder, tmp_path):
    assert cache._open(folder, name(1), True) == folder / name(1)
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert cache._open(link, name(1), True) is None
    folder.chmod(0o770)
    assert cache._open(folder, name(1), True) is None
    assert cache._open(folder, name(1), False) == folder / name(1)  # named by the user
    folder.chmod(0o700)
    if os.geteuid() == 0:
        os.chown(folder, 65534, -1)
        assert cache._open(folder, name(1), True) is None


def _open_as_nobody(root, queue):
    if os.geteuid() == 0:
        os.setuid(65534)
    queue.put([cache._open(root, name(number), False) for number in (1, 2)])


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_folder_that_was_filled_before_serves_where_nothing_can_be_written():
    with tempfile.TemporaryDirectory() as base:
        root = Path(base, "sparsectr")
        (root / name(1)).mkdir(parents=True)
        for path in (root / name(1), root, Path(base)):
            path.chmod(0o555)
        context = multiprocessing.get_context("fork")
        queue = context.Queue()
        child = context.Process(target=_open_as_nobody, args=(root, queue))
        child.start()
        assert queue.get(timeout=60) == [root / name(1), None]
        child.join(60)
        for path in (Path(base), root, root / name(1)):
            path.chmod(0o755)


def test_without_any_place_kernels_work_and_nothing_is_kept(monkeypatch, tmp_path):
    barrier = tmp_path / "file"
    barrier.write_text("")
    for find in ("_given_folder", "_user_folder", "_temporary_folder"):
        monkeypatch.setattr(cache, find, lambda: (barrier / "folder", True))
    assert cache.cache_folder.__wrapped__() is None

    def failing():
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(cache, "_temporary_folder", failing)
    assert cache.cache_folder.__wrapped__() is None


def double(number):
    return 2 * number


def test_what_cannot_be_saved_is_still_right(tmp_path):
    """The disk is full, or the folder has been taken away."""
    barrier = tmp_path / "file"
    barrier.write_text("")
    kernel = numba.njit(double)
    kernel._cache = cache.KernelCache(double, barrier / "folder")
    assert kernel(21) == 42


def test_functions_of_other_folders_are_not_kept(folder):
    kernel = numba.njit(double)
    before = kernel._cache
    cache.keep_machine_code(kernel, double)
    assert kernel._cache is before


# Digests ---------------------------------------------------------------------------------


def test_a_digest_depends_on_names_contents_and_settings(tmp_path, monkeypatch):
    one, two = tmp_path / "one.py", tmp_path / "two.py"
    one.write_text("ab")
    two.write_text("c")
    digests = {cache.digest_of([one, two]), cache.digest_of([one]), cache.digest_of([two])}
    two.write_text("bc")
    one.write_text("a")
    digests.add(cache.digest_of([one, two]))
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 1)
    digests.add(cache.digest_of([one, two]))
    monkeypatch.setattr(numba, "__version__", "1000.0")
    digests.add(cache.digest_of([one, two]))
    assert len(digests) == 6


def test_every_source_counts():
    assert {file.name for file in cache._sources()} == {file.name for file in KERNELS.rglob("*.py")}


def from_elsewhere(tree):
    """Names that a module takes from other folders of the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            ours = node.module.startswith("sparsectr")
            if ours and not node.module.startswith("sparsectr.kernels.cpu"):
                yield from (alias.asname or alias.name for alias in node.names)


def kernels_of(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            for decorator in node.decorator_list:
                if ast.unparse(decorator) in {"compiled", "inlined"}:
                    yield node


def test_kernels_hold_nothing_of_other_folders():
    """The digest would not see its change."""
    n_kernels = 0
    for file in KERNELS.rglob("*.py"):
        tree = ast.parse(file.read_text())
        foreign = set(from_elsewhere(tree))
        for kernel in kernels_of(tree):
            n_kernels += 1
            body = ast.Module(kernel.body, [])
            used = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
            assert not used & foreign, (file.name, kernel.name)
    assert n_kernels > 50


def test_a_cache_is_no_part_of_pickles(tmp_path):
    kernel = numba.njit(double)
    kernel._cache = cache.KernelCache(double, tmp_path)
    assert pickle.loads(pickle.dumps(kernel))(2) == 4
