"""One file per published method: its network and its classifier."""
