"""The application: middleware, the API, the pages and the static files, for one context."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from fastapi import Depends, FastAPI
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from parallelm.server import api, live, pages
from parallelm.server.access.forgery import refuse_forgery
from parallelm.server.access.limits import BODY_BYTES, NobodysFiles, limit_rate
from parallelm.server.api._contract import PROBLEMS, add_contract, operation_id
from parallelm.server.api.logs import LogWaiters
from parallelm.server.compatibility import add_compatibility
from parallelm.server.problems import add_problem_handlers
from parallelm.server.requests import BelowPrefix, HeadAsGet, RequestFrame, prefix_of
from parallelm.server.rule_trials import AT_ONCE
from parallelm.server.static_files import static_files

if TYPE_CHECKING:
    from parallelm.server.context import ServerContext

STATIC = Path(__file__).parent / "static"


def create_app(context: ServerContext) -> FastAPI:
    """An application that serves ``context``. Several in one process, or one in several processes, share nothing."""
    app = FastAPI(
        title="MCenter Stream",
        version=metadata.version("mcenter-stream"),
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=operation_id,
        dependencies=[Depends(refuse_forgery)],
        max_body_size=BODY_BYTES,
    )
    app.state.context = context
    app.state.log_waiters = LogWaiters()
    app.state.rule_trials = BoundedSemaphore(AT_ONCE)
    app.add_middleware(HeadAsGet)
    app.add_middleware(NobodysFiles)
    app.add_middleware(RequestFrame)
    if prefix := prefix_of(context.settings.server):
        app.add_middleware(BelowPrefix, prefix=prefix)
    proxies = [each.strip() for each in context.settings.server.trusted_proxies.split(",") if each.strip()]
    if proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=proxies)
    add_problem_handlers(app)
    for router in api.routers():
        app.include_router(router, prefix=api.PREFIX, responses=PROBLEMS, dependencies=[Depends(limit_rate)])
    add_contract(app)
    for router in pages.routers():
        app.include_router(router, include_in_schema=False, dependencies=[Depends(live.remember_position)])
    add_compatibility(app)
    app.include_router(live.ROUTER, include_in_schema=False)
    app.mount("/static", static_files(STATIC), name="static")
    return app
