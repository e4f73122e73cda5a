"""The one error of this room."""


class ReportError(ValueError):
    """Findings that cannot be read, shown or written; the message says which and what would do."""
