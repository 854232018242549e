"""What services log on their standard error: lines for people on a terminal, else a JSON object a line."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from parallelm.connections import LogSettings
from parallelm.connections.secrets import mask_text
from parallelm.mcenter.terminal import visible

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""Attributes that each record has; others are of ``extra``."""


class VisibleFormatter(logging.Formatter):
    """Log lines in which what others wrote cannot steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or several where it has a traceback."""
        return visible(super().format(record), keep="\n\t")


class JsonFormatter(logging.Formatter):
    """A JSON object a line, without secrets. ``context`` is in each."""

    def __init__(self, context: dict[str, str]) -> None:
        super().__init__()
        self._context = context

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, Any] = {
            **self._context,
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
            **{name: value for name, value in vars(record).items() if name not in _OWN},
        }
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            said["stack"] = self.formatStack(record.stack_info)
        masked = {name: mask_text(value) if isinstance(value, str) else value for name, value in said.items()}
        return json.dumps(masked, default=str)


def log_as_service(log: LogSettings | None = None, **context: str) -> None:
    """Let a service log as its settings say. ``context`` is in each JSON object, as ``service="sink"``."""
    log = log or LogSettings()
    handler = logging.StreamHandler()
    as_text = sys.stderr.isatty() if log.format == "auto" else log.format == "text"
    handler.setFormatter(VisibleFormatter(_TEXT) if as_text else JsonFormatter(context))
    logging.basicConfig(level=log.level, handlers=[handler], force=True)
