"""Importing the package has no effects outside the process."""

import subprocess
import sys

import pytest

WATCH = """
import sys

seen = []


def watch(event, given):
    if event.startswith("socket.") or event in ("subprocess.Popen", "os.mkdir", "os.remove"):
        seen.append(f"{event} {given}")
    elif event == "open" and isinstance(given[1], str) and set(given[1]) & set("wax+"):
        seen.append(f"{event} {given}")


sys.addaudithook(watch)
"""


def effects(code, folder):
    """Return what a fresh process did while it ran some code."""
    found = subprocess.run(
        [sys.executable, "-B", "-c", WATCH + code + "\nsys.stdout.write('\\n'.join(seen))"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.splitlines()


def test_import_opens_no_socket_and_writes_no_file(tmp_path):
    assert effects("import sparsectr", tmp_path) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "code",
    ["open('x', 'w')", "import socket; socket.socket()", "import os; os.mkdir('y')"],
)
def test_effects_would_be_seen(code, tmp_path):
    assert effects(code, tmp_path) != []
