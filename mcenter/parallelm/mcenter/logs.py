"""What services log on their standard error: lines for people on a terminal, else a JSON object a line."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING

import structlog

from parallelm.connections import LogSettings
from parallelm.connections.secrets import mask_text
from parallelm.mcenter.terminal import visible

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

_TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class VisibleFormatter(logging.Formatter):
    """Log lines in which what others wrote cannot steer a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, or several where it has a traceback."""
        return visible(super().format(record), keep="\n\t")


def log_as_service(log: LogSettings | None = None, **context: str) -> None:
    """Let a service log as its settings say. ``context`` is in each JSON object, as ``service="sink"``."""
    log = log or LogSettings()
    handler = logging.StreamHandler()
    as_text = sys.stderr.isatty() if log.format == "auto" else log.format == "text"
    handler.setFormatter(VisibleFormatter(_TEXT) if as_text else _json_formatter(context))
    logging.basicConfig(level=log.level, handlers=[handler], force=True)


def _json_formatter(context: dict[str, str]) -> logging.Formatter:
    def with_context(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {**context, **event}

    def without_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        return {name: mask_text(value) if isinstance(value, str) else value for name, value in event.items()}

    processors: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.format_exc_info,
        with_context,
    ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=processors,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            without_secrets,
            structlog.processors.JSONRenderer(default=str),
        ],
    )
