"""What pytest must leave alone."""

from importlib.util import find_spec

# Without numba the package never imports these; nor must the search for docstring examples.
collect_ignore_glob = [] if find_spec("numba") else ["sparsectr/kernels/compiled/*"]
