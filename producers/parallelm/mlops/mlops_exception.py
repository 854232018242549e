"""Every exception that the component library raises."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_log = logging.getLogger("parallelm.mlops")


class MLOpsException(Exception):  # noqa: N818 - the public contract's name
    """A call was wrong: its arguments, its order, or its configuration. The message says which and what to do."""


class MLOpsConnectionException(MLOpsException):
    """A call that needs an answer of the platform could not reach it."""


class MLOpsStatisticsException(MLOpsException):
    """The data of a statistic or metric has the wrong shape or type."""


class SuppressException:
    """Decorator of methods: exceptions of ``exc_list`` go to ``handler`` while suppression is on.

    ``SuppressException.set_suppress(True)`` turns it on for every decorated method; these then return None where they
    would have raised. Without a handler the exception is logged as a warning.
    """

    _suppress: ClassVar[bool] = False

    def __init__(
        self,
        exc_list: Sequence[type[BaseException]] = (Exception,),
        handler: Callable[[BaseException], Any] | None = None,
    ) -> None:
        self._exceptions = tuple(exc_list)
        self._handler = handler or _warn

    def __call__(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap ``method``."""

        @functools.wraps(method)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except self._exceptions as error:
                if not SuppressException._suppress:
                    raise
                self._handler(error)
                return None

        return wrapper

    @classmethod
    def set_suppress(cls, suppress: bool) -> None:
        """Turn suppression on or off."""
        try:
            SuppressException._suppress = bool(suppress)
        except Exception as error:
            raise MLOpsException("suppress must be True or False") from error


def _warn(error: BaseException) -> None:
    _log.warning("suppressed: %s", error)
