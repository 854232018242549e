"""The facade that components talk to: one class, one instance, ``parallelm.mlops.mlops``."""

from __future__ import annotations

from parallelm.mlops._reporting import Reporting


class MLOps(Reporting):
    """Reports statistics, events, alerts, KPIs and models of a component, and asks the platform about them.

    >>> from parallelm.mlops import mlops
    >>> mlops.init()
    >>> mlops.set_stat("rows", 1200)  # doctest: +ELLIPSIS
    1..., rows, LINEGRAPH, TIME_SERIES, {'rows': 1200}...
    >>> mlops.done()
    """
