"""The notifier's file, as commands read it: its mistakes are shown with their places."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from parallelm.operations.errors import InvalidFileError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from parallelm.definitions.notifications import NotificationRules


def read_notifications(file: Path, environ: Mapping[str, str] | None) -> NotificationRules:
    """Rules of a file; raises ``InvalidFileError`` with every mistake. ``environ`` None: variables are not looked up."""
    from parallelm.definitions import DefinitionError
    from parallelm.stream_processors.notifications.edge.targets import read_rules

    try:
        return read_rules(file, environ)
    except OSError as error:
        raise InvalidFileError(
            f"{file} cannot be read: {error.strerror}; name the file with --file"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"{file} is not UTF-8: {error.reason} at byte {error.start}") from error
    except DefinitionError as error:
        raise InvalidFileError(f"{file} is not a valid file of notifications:\n{error}") from error


def check_notifications(file: Path) -> None:
    """Raise ``InvalidFileError`` when a notifier could not run with this file."""
    read_notifications(file, os.environ)
