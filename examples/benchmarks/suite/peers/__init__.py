"""Models of other libraries, as scikit-learn classifiers that stop early like ours."""
