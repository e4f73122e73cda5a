"""The exception of data that cannot be used as they are."""


class DataError(ValueError):
    """Data cannot be used as they are; the message names the place and what would do."""
