"""``python -m parallelm.mcenter.engine``: own a data folder and serve it over TCP and HTTP until SIGTERM."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from pathlib import Path

import click

from parallelm.mcenter.engine.credentials import Credentials
from parallelm.mcenter.engine.engine import Engine
from parallelm.mcenter.engine.tcp_server import NativeServer

log = logging.getLogger("parallelm.mcenter.engine")


@click.command()
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), required=True, help="Data folder.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=int, required=True, help="Port of the native protocol.")
@click.option(
    "--http-port", type=int, default=0, help="Port of the HTTP interface; without it there is none."
)
@click.option("--user", default="default", show_default=True)
@click.option(
    "--password", envvar="MCENTER_ENGINE_PASSWORD", default="", help="Better MCENTER_ENGINE_PASSWORD."
)
@click.option(
    "--memory-mbytes", type=int, default=4096, show_default=True, help="Limit of all queries together."
)
@click.option("--mark-cache-mbytes", type=int, default=64, show_default=True)
def main(
    data: Path,
    host: str,
    port: int,
    http_port: int,
    user: str,
    password: str,
    memory_mbytes: int,
    mark_cache_mbytes: int,
) -> None:
    """Serve the ClickHouse engine on one data folder."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    data.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    engine = Engine(
        data.resolve(), memory_bytes=memory_mbytes << 20, mark_cache_bytes=mark_cache_mbytes << 20
    )
    credentials = Credentials(user, password)
    server = NativeServer(host, port, engine, credentials)
    threading.Thread(target=server.serve_forever, name="native", daemon=True).start()
    if ready := os.environ.get("MCENTER_READY_FILE"):
        Path(ready).touch()
    log.info("ClickHouse %s serves %s on %s:%d, HTTP %d", engine.version, data, host, port, http_port)
    stop.wait()
    log.info("stopping")
    server.shutdown()
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main(prog_name="python -m parallelm.mcenter.engine")
