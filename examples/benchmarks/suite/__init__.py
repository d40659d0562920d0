"""Measure our estimators and real peers in one way, and write down what came out.

`datasets` are the tables with their splits, `models` the estimators with their settings, and
`peers` the wrappers of other libraries. `measure` fits one model in a process of its own, `runner`
does so for many and appends a line per fit to a file, `tuning` for many settings, and `render`
turns the file into a page.
"""
