"""Torch building blocks shared by the methods."""
