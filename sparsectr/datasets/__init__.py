from sparsectr.datasets.adult import fetch_adult
from sparsectr.datasets.avazu import fetch_avazu
from sparsectr.datasets.clicks import make_clicks
from sparsectr.datasets.criteo import fetch_criteo
from sparsectr.datasets.flights import load_flights
from sparsectr.datasets.frappe import fetch_frappe
from sparsectr.datasets.ipinyou import fetch_ipinyou
from sparsectr.datasets.kdd12 import fetch_kdd12
from sparsectr.datasets.movielens import fetch_movielens

__all__ = [
    "fetch_adult",
    "fetch_avazu",
    "fetch_criteo",
    "fetch_frappe",
    "fetch_ipinyou",
    "fetch_kdd12",
    "fetch_movielens",
    "load_flights",
    "make_clicks",
]
