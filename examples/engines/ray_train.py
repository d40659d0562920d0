"""Ray Train starts the processes of a fit: ``python ray_train.py``."""

import tempfile
from pathlib import Path

import joblib
import ray
from job import search, train
from ray.train import RunConfig, ScalingConfig, get_context
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.joblib import register_ray


def loop(config):
    answer = train()
    Path(config["folder"], f"rank_{get_context().get_world_rank()}").write_text(answer)


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False)
    with tempfile.TemporaryDirectory() as folder:
        TorchTrainer(
            loop,
            train_loop_config={"folder": folder},
            scaling_config=ScalingConfig(num_workers=2),
            torch_config=TorchConfig(backend="gloo"),
            run_config=RunConfig(storage_path=folder),
        ).fit()
        print(*(path.read_text() for path in sorted(Path(folder).glob("rank_*"))), sep="\n")
    register_ray()
    with joblib.parallel_config("ray"):  # or: the fits of a search, one on each worker
        print(search())
