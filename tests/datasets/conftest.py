"""A server to download from, and no other network; reference answers in plain Python."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import numpy as np
import pytest

from sparsectr.datasets import download


class Answer(NamedTuple):
    """How the server answers one request."""

    cut: int | None = None  # bytes after which it closes the connection
    status: int = 200
    honest: bool = True  # whether it sends the range that was asked for


class Server(ThreadingHTTPServer):
    """Serve one file; the first requests are answered as planned, further ones properly."""

    def __init__(self, content):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = content
        self.plan = []
        self.knows_ranges = True
        self.asked = []  # first byte asked for, by request
        self.sent = 0  # bytes
        self.url = f"http://127.0.0.1:{self.server_port}/file.zip"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        answer = server.plan.pop(0) if server.plan else Answer()
        start = int(self.headers.get("Range", "bytes=0-")[len("bytes=") : -1])
        server.asked.append(start)
        size = len(server.content)
        if answer.status != 200:
            return self.send_empty(answer.status)
        if not server.knows_ranges:
            start = 0
        elif start >= size:
            return self.send_empty(416, f"bytes */{size}")
        start = start if answer.honest else start // 2
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        body = body[: answer.cut]
        server.sent += len(body)
        self.wfile.write(body)

    def send_empty(self, status, content_range=None):
        self.send_response(status)
        if content_range:
            self.send_header("Content-Range", content_range)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture
def answer():
    return Answer


@pytest.fixture
def serve(monkeypatch):
    """Start a server of the given bytes."""
    monkeypatch.setenv("no_proxy", "*")
    servers = []

    def start(content):
        server = Server(content)
        servers.append((server, threading.Thread(target=server.serve_forever, args=(0.01,))))
        servers[-1][1].start()
        return server

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def no_network_but_loopback(monkeypatch):
    connect = socket.socket.connect

    def connect_to_loopback(self, address):
        assert address[0] == "127.0.0.1", f"a test wants to reach {address}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_to_loopback)
    monkeypatch.setattr(download, "RETRY_DELAY", 0.0)


def reference_split(rows, shares, seed):
    """Deal out rows one by one."""
    rng = np.random.RandomState(seed)
    subsets = {"train": [], "validation": [], "test": []}
    for row in rows:
        u = rng.random_sample()
        name = "train" if u < shares[0] else "validation" if u < shares[0] + shares[1] else "test"
        subsets[name].append(row)
    return subsets


@pytest.fixture
def rows_of():
    """Turn a frame into a list of dicts, missing values into None."""

    def turn(frame):
        records = frame.astype(object).to_dict("records")
        return [{k: None if v != v else v for k, v in record.items()} for record in records]

    return turn


@pytest.fixture
def assert_split(rows_of):
    """Compare what a fetcher loads with rows dealt out one by one."""

    def compare(fetch, rows, shares, seed):
        for subset, expected in reference_split(rows, shares, seed).items():
            assert 0 < len(expected) < len(rows)
            assert rows_of(fetch(subset=subset).frame) == expected

    return compare
