"""What scikit-learn is told about the tables of this package."""

from typing import Any


class CategoricalInputMixin:
    """Declare by tags that an estimator takes strings, categories and missing values."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = True
        return tags
