"""The calls of the original's clients, with or without ``mlops/`` before their paths: outside of the contract of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Depends

from parallelm.server.access.limits import limit_rate, limit_reports
from parallelm.server.compatibility import captures, models, questions, reports, sign_in, topology

if TYPE_CHECKING:
    from fastapi import FastAPI

_ROUTERS = (sign_in.ROUTER, topology.ROUTER, models.ROUTER, questions.ROUTER, captures.ROUTER)


def add_compatibility(app: FastAPI) -> None:
    """Let the application answer them."""
    for prefix in ("", "/mlops"):
        for router in _ROUTERS:
            app.include_router(
                router, prefix=prefix, include_in_schema=False, dependencies=[Depends(limit_rate)]
            )
        app.include_router(
            reports.ROUTER, prefix=prefix, include_in_schema=False, dependencies=[Depends(limit_reports)]
        )
