from datetime import date, timedelta

import pandas as pd

from sparsectr.datasets.days import weekdays

DAYS = [date(2013, 12, 20) + timedelta(days=i) for i in range(400)]


def test_weekdays_count_from_sunday():
    for style, dtype in [("%y%m%d", "str"), ("%Y%m%d", "string[pyarrow]")]:
        dates = pd.Series([day.strftime(style) for day in DAYS for _ in range(2)], dtype=dtype)
        found = weekdays(dates, style)
        assert found.dtype == dates.dtype
        assert found.tolist() == [str(day.isoweekday() % 7) for day in DAYS for _ in range(2)]
