"""Columns of anything -> integer codes. No torch."""
