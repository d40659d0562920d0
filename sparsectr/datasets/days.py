"""Days of the week from dates written as text."""

from datetime import datetime

import pandas as pd


def weekdays(dates: pd.Series, style: str) -> pd.Series:
    """Find the day of the week, "0" (Sunday) to "6", of dates written in the style of strptime."""
    # A log has few days: convert each of them once.
    days = {date: datetime.strptime(date, style).strftime("%w") for date in dates.unique()}
    return dates.map(days).astype(dates.dtype)
