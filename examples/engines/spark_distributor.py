"""Spark's TorchDistributor starts the processes of a fit: ``python spark_distributor.py``."""

from job import train
from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import SparkSession

if __name__ == "__main__":
    spark = SparkSession.builder.master("local[2]").appName("flights").getOrCreate()
    distributor = TorchDistributor(num_processes=2, local_mode=True, use_gpu=False)
    print(distributor.run(train))  # what the first process returns
    spark.stop()
