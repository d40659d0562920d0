"""The hot functions, each a plain torch reference behind a stable name."""
