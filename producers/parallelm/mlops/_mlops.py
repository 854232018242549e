"""The facade that components talk to: one class, one instance, ``parallelm.mlops.mlops``."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from parallelm.mlops._questions.questions import Queries
from parallelm.mlops.models import model as models

if TYPE_CHECKING:
    from pathlib import Path

    from parallelm.mlops._metrics import MLOpsMetrics
    from parallelm.mlops.time_capture import TimeCapture


class MLOps(Queries):
    """Reports statistics, events, alerts, KPIs and models of a component, and asks the platform about them.

    A guest in its host program: reporting never blocks on the network, never raises because the platform is down, uses
    bounded memory (``MCENTER_COMPONENT_QUEUE_MAX_SAMPLES``), works from all threads and tasks, and in forked children.
    ``done()`` or the end of the interpreter sends what is waiting, and takes ``MCENTER_COMPONENT_CLOSE_TIMEOUT_S`` (2 s)
    at most when the broker is away. A program that ends without either, by ``os._exit``, by SIGTERM without a handler
    or by SIGKILL, loses what it reported in the last flush interval and linger (a tenth of a second), or all that was
    waiting for a broker that is away; models that were published are sent by the next ``init()``.

    >>> from parallelm.mlops import mlops
    >>> mlops.init()
    >>> mlops.set_stat("rows", 1200)  # doctest: +ELLIPSIS
    1..., rows, LINEGRAPH, TIME_SERIES, {'rows': 1200}...
    >>> mlops.done()
    """

    @cached_property
    def metrics(self) -> MLOpsMetrics:
        """scikit-learn's metrics: each computes, reports and returns."""
        from parallelm.mlops._metrics import MLOpsMetrics

        return MLOpsMetrics(self.set_stat)

    def Model(  # noqa: N802 - the public contract's name
        self,
        name: str | None = "",
        model_format: models.ModelFormat | str = models.ModelFormat.UNKNOWN,
        description: str | None = "",
        user_defined: Any = None,
    ) -> models.Model:
        """A new model with a fresh id; raises ``MLOpsException`` for format UNKNOWN.

        A name or description that is None is empty. ``user_defined`` becomes the annotation of that name.
        """
        self._opened_output()
        model = models.Model.new(
            self, "" if name is None else name, model_format, "" if description is None else description
        )
        if user_defined is not None:
            model.set_annotations({"user_defined": user_defined})
        return model

    def load_time_capture(self, input_file: str | Path) -> TimeCapture:
        """A timeline capture from its tar; neither a platform nor ``init()`` is needed, but pandas.

        Raises ``MLOpsException`` for what is no capture.
        """
        from parallelm.mlops.time_capture import TimeCapture

        return TimeCapture(input_file)
