"""Makes the history in a capture readable in another installation."""

from parallelm.operations.captures.importing.run import ImportReport, checked_target, import_capture

__all__ = ["ImportReport", "checked_target", "import_capture"]
