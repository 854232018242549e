"""Copying and pickling of the façade and its parts: by name, as the ``mlops`` of the receiving process."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

from parallelm.mlops.mlops_exception import MLOpsException

if TYPE_CHECKING:
    from collections.abc import Callable

    from parallelm.mlops._mlops import MLOps


class Part:
    """A part of the façade that users' objects (models, series) refer to. A copy of it is the part itself."""

    facade_name: ClassVar[str]
    """Name of the façade's attribute that holds it."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[MLOps, str]]:
        from parallelm.mlops import mlops

        if getattr(mlops, self.facade_name) is not self:
            raise not_the_one_instance()
        return getattr, (mlops, self.facade_name)


def arrived(as_in_sender: tuple[str, str, bool] | None) -> MLOps:
    """The ``mlops`` of this process. In a worker process it is opened in the sender's mode, as a forked worker's is.

    Elsewhere nothing is opened: a model that refers to ``mlops`` may be loaded by any program.
    """
    from parallelm.mlops import mlops
    from parallelm.mlops.mlops_mode import MLOpsMode

    if as_in_sender is not None and _in_worker():
        mode, mlapp_id, validates_only = as_in_sender
        mlops._session.open_in_worker(MLOpsMode(mode), mlapp_id, validates_only)  # noqa: SLF001 - its own part
    return mlops


def _in_worker() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def not_the_one_instance() -> MLOpsException:
    """Error for copying or pickling an instance other than ``parallelm.mlops.mlops``, or a part of one."""
    return MLOpsException(
        "only parallelm.mlops.mlops, and models and series made with it, can be copied or pickled: another MLOps() "
        "has state that exists once, in its own process"
    )
