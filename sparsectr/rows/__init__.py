"""Encoded rows, wherever they lie, and the order in which training visits them."""
