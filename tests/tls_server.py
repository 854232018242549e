"""A TLS server on loopback whose authority only a test knows, as a proxy that inspects TLS has one of its own."""

from __future__ import annotations

import http.server
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.certificates import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def tls_server(folder: Path, answer: Callable[[str], bytes | None]) -> Iterator[tuple[str, Path]]:
    """URL of a server that answers GET by path (None: 404), and the file of the authority that signed its certificate."""
    authority = Authority(folder, "proxy")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answer(self.path)
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            return

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority.issue("server").chain)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are what is tested
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", authority.file
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
