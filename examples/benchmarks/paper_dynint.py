"""Run the main table of DynInt again, on Criteo, Avazu and iPinYou, beside the peers.

Yan and Li, "DynInt: dynamic interaction modeling for large-scale click-through rate prediction",
2022.

    python examples/benchmarks/paper_dynint.py criteo-dynint --data DIR --n-rows 100000
    python examples/benchmarks/paper_dynint.py --data DIR
    python examples/benchmarks/bench.py render

Preparation, split shares, embedding length, batch size, layers and subspaces are the paper's; the
strengths of FTRL and the reduction ratio are not in it.
Rows are appended to docs/benchmarks/results.jsonl; the page shows them beside the published ones.
"""

import sys

from suite.papers import run_paper

if __name__ == "__main__":
    sys.exit(run_paper("dynint", __doc__))
