from sparsectr.datasets.clicks import make_clicks

__all__ = ["make_clicks"]
