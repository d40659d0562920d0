"""Every worker of a Dask cluster is one process of a fit: ``python dask_workers.py``."""

import os

import joblib
from dask.distributed import Client, LocalCluster
from job import search, train


def train_as(rank, n_processes, host):
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(n_processes))
    os.environ.update(MASTER_ADDR=host, MASTER_PORT="29511")
    return train()


if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, Client(cluster) as client:
        workers = list(client.scheduler_info()["workers"])
        host = workers[0].split("://")[1].split(":")[0]
        fits = [
            client.submit(train_as, rank, len(workers), host, workers=[worker], pure=False)
            for rank, worker in enumerate(workers)
        ]
        print(*client.gather(fits), sep="\n")
        with joblib.parallel_config("dask"):  # or: the fits of a search, one on each worker
            print(search())
