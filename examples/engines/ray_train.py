"""Ray Train starts the processes of a fit: ``python ray_train.py``."""

import joblib
import ray
from job import search, train
from ray.train import RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.joblib import register_ray


@ray.remote
class Answers(list):
    def add(self, answer):
        self.append(answer)

    def all(self):
        return list(self)


def loop(config):
    ray.get(config["answers"].add.remote(train()))


if __name__ == "__main__":
    ray.init(num_cpus=3)
    answers = Answers.remote()
    TorchTrainer(
        loop,
        train_loop_config={"answers": answers},
        scaling_config=ScalingConfig(num_workers=2),
        torch_config=TorchConfig(backend="gloo"),
        run_config=RunConfig(name="flights"),
    ).fit()
    print(*ray.get(answers.all.remote()), sep="\n")
    register_ray()
    with joblib.parallel_config("ray"):  # or: the fits of a search, one on each worker
        print(search())
