"""Which certificate authorities are trusted where Python makes the connection: those of the system.

So a proxy that inspects TLS works as for every other program of the machine, once its authority is in the system's store. ``truststore`` reads that store on each system; it comes with the extra ``platform``.
"""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REMEDY = (
    "the server's certificate comes from an authority that this machine does not trust. Behind a proxy that inspects TLS, "
    "add the proxy's authority to the system's trust store (Debian, Ubuntu: a .crt file in /usr/local/share/ca-certificates, "
    "then update-ca-certificates; Fedora, RHEL: /etc/pki/ca-trust/source/anchors, then update-ca-trust), or name a file "
    "with all authorities to trust in SSL_CERT_FILE"
)

_injection = threading.Lock()


def trust_context(ca_file: str = "") -> ssl.SSLContext:
    """Context of a client that trusts the authorities of ``ca_file``, else those of the system."""
    if ca_file:
        return ssl.create_default_context(cafile=ca_file)
    try:
        import truststore
    except ImportError:  # a component without the extra: OpenSSL's own defaults
        return ssl.create_default_context()
    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context


@contextmanager
def system_trust() -> Iterator[None]:
    """Make libraries that bring authorities of their own, as ``requests`` does, trust the system's inside the block."""
    import truststore

    with _injection:
        if issubclass(ssl.SSLContext, truststore.SSLContext):  # the host program has done it already
            yield
            return
        truststore.inject_into_ssl()
        try:
            yield
        finally:
            truststore.extract_from_ssl()


def remedy(error: BaseException) -> str:
    """What to do about an error that comes from an authority that is not trusted; empty for any other error."""
    reason = getattr(error, "reason", error)  # urllib wraps it
    failed = isinstance(reason, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(error)
    return REMEDY if failed else ""
