"""One stack with sink and processors, one seeded MLApp and one server for the tests of this room."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
import uvicorn

from parallelm.server.access.matrix import ADMIN
from parallelm.server.access.principal import EVERY_MLAPP, Principal
from parallelm.server.app import create_app
from parallelm.server.context import ServerContext
from parallelm.server.run import listen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import Settings

ADMINISTRATOR = Principal("ada", "session", {EVERY_MLAPP: frozenset({ADMIN})})


@contextmanager
def served(context: ServerContext) -> Iterator[str]:
    """Serve an application on a free loopback port; yields its URL."""
    server = uvicorn.Server(uvicorn.Config(create_app(context), log_config=None, lifespan="off"))
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            yield "http://{}:{}".format(*listener.getsockname()[:2])
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture(scope="session")
def server_settings(stack: Settings) -> Settings:
    """Of the server under test."""
    return stack


@pytest.fixture(scope="session")
def server_url(server_settings: Settings) -> Iterator[str]:
    """Address of a running server."""
    context = ServerContext(settings=server_settings, authenticate=lambda _: ADMINISTRATOR)
    with served(context) as url:
        yield url


@pytest.fixture
def client(server_url: str) -> Iterator[httpx.Client]:
    """A client of the administrator."""
    with httpx.Client(base_url=server_url, timeout=30) as opened:
        yield opened
