"""Behind a proxy that inspects TLS: its authority is in the system's store only, and what fetches asks that store.

The store of a test is the file that SSL_CERT_FILE names, which OpenSSL takes for the system's.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest

from parallelm.connections import RegistrySettings
from parallelm.connections.tls import remedy, system_trust, trust_context
from parallelm.mcenter.doctor.check import Verdict
from parallelm.mcenter.doctor.cluster import registry_check
from parallelm.mcenter.local_stack.kafka_jars import cache_folder, ensure_kafka, is_complete, locked_jars
from parallelm.schemas.errors import RegistryUnavailableError
from parallelm.schemas.http_registry import HttpRegistry
from tests.tls_server import tls_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OTHERS = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def maven(path: str) -> bytes | None:
    """The jars of the cache, as Maven Central serves them."""
    folder = ensure_kafka(cache_folder())
    for jar in locked_jars():
        if path == f"/{jar.group.replace('.', '/')}/{jar.artifact}/{jar.version}/{jar.file_name}":
            return (folder / jar.file_name).read_bytes()
    return b"[]" if path == "/subjects" else None


@pytest.fixture(scope="module")
def behind_a_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    ensure_kafka(cache_folder())
    with tls_server(tmp_path_factory.mktemp("tls"), maven) as found:
        yield found


def fetch(cache: Path, url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; from pathlib import Path; from parallelm.mcenter.local_stack.kafka_jars import ensure_kafka;"
        "ensure_kafka(Path(sys.argv[1]), repository=sys.argv[2])"
    )
    kept = {name: value for name, value in os.environ.items() if name not in {*OTHERS, *PROXIES}}
    return subprocess.run(
        [sys.executable, "-c", program, str(cache), url],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_the_jars_come_through_a_proxy_whose_authority_is_in_the_systems_store(
    behind_a_proxy: tuple[str, Path], tmp_path: Path
) -> None:
    url, authority = behind_a_proxy
    done = fetch(tmp_path, url, SSL_CERT_FILE=str(authority))
    assert done.returncode == 0, done.stderr[-2000:]
    [folder] = [entry for entry in tmp_path.iterdir() if entry.is_dir()]
    assert is_complete(folder)


def test_an_authority_that_nobody_trusts_is_an_error_with_its_remedy(
    behind_a_proxy: tuple[str, Path], tmp_path: Path
) -> None:
    done = fetch(tmp_path, behind_a_proxy[0])
    assert done.returncode == 1
    said = done.stderr.strip().splitlines()[-1]
    assert "CERTIFICATE_VERIFY_FAILED" in said
    assert "Behind a proxy that inspects TLS, add the proxy's authority to the system's trust store" in said
    assert "SSL_CERT_FILE" in said
    assert "HTTPS_PROXY" not in said


def test_the_registrys_client_and_the_doctor_ask_the_systems_store_too(
    behind_a_proxy: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, authority = behind_a_proxy
    for name in (*OTHERS, *PROXIES):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(RegistryUnavailableError, match="Behind a proxy that inspects TLS"):
        HttpRegistry(RegistrySettings(url=url), "").request("GET", "/subjects")
    refused = registry_check(RegistrySettings(url=url), 60)
    assert (refused.verdict, "SSL_CERT_FILE" in refused.remedy) == (Verdict.PROBLEM, True)

    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    assert HttpRegistry(RegistrySettings(url=url), "").request("GET", "/subjects") == []
    assert registry_check(RegistrySettings(url=url), 60).verdict is Verdict.OK


def test_a_file_that_is_named_is_trusted_alone(
    behind_a_proxy: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, authority = behind_a_proxy
    for name in (*OTHERS, *PROXIES):
        monkeypatch.delenv(name, raising=False)
    context = trust_context(str(authority))
    assert len(context.get_ca_certs()) == 1
    with urllib.request.urlopen(f"{url}/subjects", context=context, timeout=60) as response:  # noqa: S310 - loopback
        assert response.read() == b"[]"


def test_the_program_around_us_keeps_its_own_trust() -> None:
    before = ssl.SSLContext
    with system_trust():
        assert ssl.SSLContext is not before
    with contextlib.suppress(ValueError), system_trust():
        raise ValueError
    assert ssl.SSLContext is before


def test_other_errors_get_no_remedy_for_certificates() -> None:
    assert remedy(OSError("connection refused")) == ""
    assert remedy(ssl.SSLCertVerificationError(1, "not trusted"))
