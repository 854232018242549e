"""A TLS server on loopback whose authority only a test knows, as a proxy that inspects TLS has one of its own."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

DAY = dt.timedelta(days=1)


@contextmanager
def tls_server(folder: Path, answer: Callable[[str], bytes | None]) -> Iterator[tuple[str, Path]]:
    """URL of a server that answers GET by path (None: 404), and the file of the authority that signed its certificate."""
    authority, chain = _certificates(folder)

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
    context.load_cert_chain(chain)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up are what is tested
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}", authority
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _certificates(folder: Path) -> tuple[Path, Path]:
    """The authority's certificate, and the server's with its key."""
    now = dt.datetime.now(dt.UTC)
    names = {who: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, who)]) for who in ("proxy", "server")}
    keys = {who: ec.generate_private_key(ec.SECP256R1()) for who in names}
    certificates = {}
    for who, extension in (
        ("proxy", x509.BasicConstraints(ca=True, path_length=0)),
        ("server", x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])),
    ):
        certificates[who] = (
            x509.CertificateBuilder()
            .subject_name(names[who])
            .issuer_name(names["proxy"])
            .public_key(keys[who].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(extension, critical=who == "proxy")
            .sign(keys["proxy"], hashes.SHA256())
        )
    authority, chain = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(certificates["proxy"].public_bytes(serialization.Encoding.PEM))
    chain.write_bytes(
        keys["server"].private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        + certificates["server"].public_bytes(serialization.Encoding.PEM)
    )
    return authority, chain
