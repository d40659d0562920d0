from sparsectr.datasets.clicks import make_clicks
from sparsectr.datasets.flights import load_flights

__all__ = ["load_flights", "make_clicks"]
