"""Makes the history in a capture readable in another installation."""

from parallelm.operations.captures.importing.run import ImportReport, import_capture

__all__ = ["ImportReport", "import_capture"]
