"""The best recipe in one line, built of the public pieces."""
