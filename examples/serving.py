"""Serve a model over HTTP by the standard library alone, and measure it under load.

    python examples/serving.py                     # fits, serves and measures all three ways
    python examples/serving.py export DIR          # writes the model into a folder, for
    python examples/serving.py serve onnx 8000 DIR # one of them on a port

The flights from New York. A request is a list of rows in JSON, the answer their probabilities of
being late. Three ways to compute them: the ONNX graph in onnxruntime ("onnx"),
`compile_predictor` ("row"), and `predict_proba` of the pickled estimator on a DataFrame ("frame").
Every service is killed after its measurement and started again, and must answer the same.
"""

import argparse
import http.client
import json
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

WAYS = ["onnx", "row", "frame"]


def load_predictor(way, folder):
    """Return a function of a list of dicts; nothing but what this way needs is imported."""
    if way == "onnx":
        import onnxruntime  # noqa: PLC0415

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(folder / "flights.onnx", options)
        fields = json.loads(session.get_modelmeta().custom_metadata_map["fields"])
        types = {"string": object, "int64": np.int64, "float64": np.float64}

        def predict(rows):
            columns = {
                field["name"]: np.array(
                    [[row[field["name"]]] for row in rows], types[field["type"]]
                )
                for field in fields
            }
            return session.run(["probabilities"], columns)[0][:, 1].tolist()

        return predict
    import pandas as pd  # noqa: PLC0415

    model = pickle.loads((folder / "flights.pickle").read_bytes())
    if way == "row":
        predict_row = model.compile_predictor()
        return lambda rows: [predict_row(row)[1] for row in rows]
    return lambda rows: model.predict_proba(pd.DataFrame(rows))[:, 1].tolist()


def make_handler(predict):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections stay open
        disable_nagle_algorithm = True

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = json.dumps(predict(json.loads(body))).encode()
            head = (
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(answer)}\r\n\r\n"
            )
            self.wfile.write(head.encode() + answer)

        def log_message(self, *args):
            pass

    return Handler


def serve(way, port, folder):
    predict = load_predictor(way, folder)
    predict(json.loads((folder / "rows.json").read_text())[:1])  # compiles, allocates
    server = ThreadingHTTPServer(("127.0.0.1", port), make_handler(predict))
    print(
        server.server_port, flush=True
    )  # whoever started it learns the port, and that it is ready
    server.serve_forever()


class Service:
    """A service in a process of its own."""

    def __init__(self, way, folder):
        command = [sys.executable, "-W", "ignore", __file__, "serve", way, "0", str(folder)]
        started = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.seconds_to_start = time.perf_counter() - started

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def memory(self):
        """Return the resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024


def ask(connection, rows):
    connection.request("POST", "/predict", json.dumps(rows))
    return json.loads(connection.getresponse().read())


def measure(service, rows, rows_per_request, seconds, n_clients=2):
    """Return rows per second, and the median and the 99th percentile of the time of a request."""
    times = []

    def work(first):
        connection = service.connect()
        ask(connection, rows[:rows_per_request])
        until, k = time.perf_counter() + seconds, first
        while time.perf_counter() < until:
            started = time.perf_counter()
            ask(connection, rows[k : k + rows_per_request])
            times.append(time.perf_counter() - started)
            k = (k + rows_per_request) % (len(rows) - rows_per_request)

    threads = [threading.Thread(target=work, args=(100 * k,)) for k in range(n_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    milliseconds = np.percentile(times, [50, 99]) * 1e3
    return len(times) * rows_per_request / seconds, *milliseconds


def export(folder):
    """Fit a model, and write it as a graph and as a pickle, with rows to ask about."""
    import sparsectr  # noqa: PLC0415
    from sparsectr.datasets import load_flights  # noqa: PLC0415

    X, y = load_flights(return_X_y=True)
    model = sparsectr.DynIntClassifier(max_epochs=3, random_state=0).fit(X[:50_000], y[:50_000])
    sparsectr.to_onnx(model, folder / "flights.onnx")
    (folder / "flights.pickle").write_bytes(pickle.dumps(model))
    test = X[50_000:52_000]
    (folder / "rows.json").write_text(test.to_json(orient="records"))
    return test.to_dict("records"), model.predict_proba(test)[:, 1]


def main(seconds):
    folder = Path(tempfile.mkdtemp())
    rows, expected = export(folder)
    print("| service | rows a request | rows/s | p50 ms | p99 ms | starts in s | MiB |")
    print("|---|---|---|---|---|---|---|")
    for way in WAYS:
        service = Service(way, folder)
        try:
            for n in (1, 100):
                rate, median, late = measure(service, rows, n, seconds)
                print(
                    f"| {way} | {n} | {rate:,.0f} | {median:.2f} | {late:.2f} "
                    f"| {service.seconds_to_start:.1f} | {service.memory():.0f} |",
                    flush=True,
                )
            service.kill()
            service = Service(way, folder)
            found = ask(service.connect(), rows)
            np.testing.assert_allclose(found, expected, atol=1e-6)
        finally:
            service.kill()


if __name__ == "__main__":
    if sys.argv[1:2] == ["export"]:
        Path(sys.argv[2]).mkdir(exist_ok=True)
        export(Path(sys.argv[2]))
    elif sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    else:
        parser = argparse.ArgumentParser()
        parser.add_argument("--seconds", type=float, default=5, help="of every measurement")
        main(parser.parse_args().seconds)
