"""A server for tests, in a thread of this process."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from parallelm.server.app import create_app
from parallelm.server.run import listen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.server.context import ServerContext


@contextmanager
def served(context: ServerContext) -> Iterator[str]:
    """Serve an application on a free loopback port; yields its URL."""
    server = uvicorn.Server(
        uvicorn.Config(create_app(context), log_config=None, lifespan="off", proxy_headers=False)
    )
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            yield "http://{}:{}".format(*listener.getsockname()[:2])
        finally:
            server.should_exit = True
            thread.join(120)
