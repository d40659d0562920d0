"""OptFeature: see `classifier.py` for the estimator, `net.py` for the net."""
