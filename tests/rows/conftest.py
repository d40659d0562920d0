"""No timed tests: a shared machine may be slow at any moment."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
