"""How measures are written."""


def four_digits(value: float | None) -> str:
    """Return 0.98612 as .9861, 0.0055468 as .005547, and None as nothing."""
    if value is None:
        return ""
    text = f"{value:.4f}" if value >= 0.01 else f"{value:.4g}"
    return text.removeprefix("0")
