"""Signs in at a server and takes from it where the platform is. Standard library only."""

from __future__ import annotations

import dataclasses
import json
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from parallelm.connections.tls import trust_context
from parallelm.mlops._session.authority_files import authority_file
from parallelm.mlops.mlops_exception import MLOpsConnectionException, MLOpsException

if TYPE_CHECKING:
    from urllib.request import OpenerDirector

    from parallelm.connections import Settings

_MOST_BYTES = 1_000_000
_LOOPBACK = {"localhost", "127.0.0.1", "::1", "[::1]"}
_UNNAMED = ("localhost", "3456")
"""What ``attach`` has as server and port when its caller names none."""
_AUTHORITIES = {"ssl_ca_pem": "ssl_ca_location", "ca_pem": "ca_certs"}
_OWN: dict[str, dict[str, tuple[str, ...]]] = {
    "kafka": {"sasl_username": ("sasl_password",), "ssl_ca_location": ()},
    "clickhouse": {"ca_certs": ()},
    "artifacts": {"options_json": ()},
}
"""Settings that, where they are set here, count before what the server says, with those that belong to them."""
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404


def server_url(server: str, port: str, configured: str = "") -> str:
    """Address of a server: a URL as it is; of a host's name ``http`` on this machine, where nobody listens, else ``https``.

    ``configured`` is that of the settings, which counts where none is named.
    """
    if configured and (server, port) == _UNNAMED:
        return configured.rstrip("/")
    if "://" in server:
        return server.rstrip("/")
    return f"{'http' if server in _LOOPBACK else 'https'}://{server}:{port}"


def settings_from_server(
    settings: Settings, url: str, mlapp_id: str, *, user: str, password: str | None
) -> Settings:
    """The settings with what the server at ``url`` says of brokers, ClickHouse, registry and artifact store.

    Without a password the token of the settings is shown. Raises ``MLOpsConnectionException`` and ``MLOpsException`` in words;
    neither holds the password.
    """
    server = _Server(url, settings)
    token = settings.server.token
    if password is None and settings.server.url.rstrip("/") not in {"", url}:
        raise MLOpsException(
            f"the token of the settings is for {settings.server.url}, and is not shown to {url}: give user and password"
        )
    if password is not None:
        token = str(server.ask("/auth/login", {"username": user, "password": password}, user=user)["token"])
    profile = server.ask(
        f"/api/v1/connection-profile?mlapp_id={quote(mlapp_id, safe='')}", token=token, user=user
    )
    found = _with_profile(settings, profile)
    if not found.clickhouse.user:
        raise MLOpsException(
            f"{user!r} gets no user of ClickHouse from {url}, since it may not read all MLApps or the server has none for analysts: "
            "set MCENTER_CLICKHOUSE_USER and MCENTER_CLICKHOUSE_PASSWORD to one that may read"
        )
    return found


def _with_profile(settings: Settings, profile: dict[str, Any]) -> Settings:
    """Sections with the values of the profile; what it leaves out or empty stays as it is here, and so do own credentials."""
    changed = {}
    for name, values in profile.items():
        section: Any = getattr(settings, name, None)
        if section is not None and isinstance(values, dict):
            known = {entry.name for entry in dataclasses.fields(section)}
            said = {
                key: value
                for key, value in (values | _authorities(values)).items()
                if key in known
                and (value != "" or key == "password")
                and isinstance(value, type(getattr(section, key)))
            }
            for user, others in _OWN.get(name, {}).items():
                if getattr(section, user):
                    said = {key: value for key, value in said.items() if key not in {user, *others}}
            if name == "clickhouse" and not said.get("user"):
                own = "" if section.user == "default" else section.user
                said |= {"user": own, "password": section.password}
            changed[name] = dataclasses.replace(section, **said)
    return dataclasses.replace(settings, **changed)


def _authorities(values: dict[str, Any]) -> dict[str, str]:
    """Certificates of a section as files, which the clients want."""
    return {
        setting: authority_file(values[text])
        for text, setting in _AUTHORITIES.items()
        if isinstance(values.get(text), str) and values[text]
    }


class _Server:
    def __init__(self, url: str, settings: Settings) -> None:
        self._url = url
        self._timeout_s = settings.component.query_timeout_s
        self._opener = _opener(url, settings.server.ca_certs)

    def ask(
        self, path: str, body: dict[str, str] | None = None, *, token: str = "", user: str = ""
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        try:
            request = Request(f"{self._url}{path}", data, headers)  # noqa: S310 - the caller's own address
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                found = json.loads(answer.read(_MOST_BYTES))
        except HTTPError as error:
            raise self._refused(error, user) from None
        except (ValueError, HTTPException) as error:
            raise MLOpsConnectionException(f"{self._url} is no MCenter server: {error}") from None
        except (URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise MLOpsConnectionException(
                f"no server answers at {self._url}: {reason}. Start it with `mcenter up` or `mcenter server`, or name its "
                "address: attach(mlapp_id, mlops_server=…, mlops_port=…)"
            ) from None
        if not isinstance(found, dict):
            raise MLOpsConnectionException(f"{self._url} is no MCenter server: it answers with other things")
        return found

    def _refused(self, error: HTTPError, user: str) -> MLOpsConnectionException:
        with error:
            try:
                said = str(json.loads(error.read(_MOST_BYTES))["detail"])
            except (ValueError, KeyError, TypeError, OSError):
                said = str(error.reason)
        what = {
            _UNAUTHORIZED: f"refuses {user!r}",
            _FORBIDDEN: f"lets {user!r} not",
            _NOT_FOUND: "is no MCenter server, or an older one",
        }.get(error.code, f"answers with status {error.code}")
        return MLOpsConnectionException(f"the server at {self._url} {what}: {said}")


class _NoRedirect(HTTPRedirectHandler):
    """A password or token goes to the address that was named, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _opener(url: str, ca_certs: str) -> OpenerDirector:
    is_local = urlsplit(url).hostname in _LOOPBACK
    try:
        trust = HTTPSHandler(context=trust_context(ca_certs))
    except OSError as error:
        raise MLOpsException(f"[server] ca_certs is {ca_certs!r}, which is not read: {error}") from None
    return build_opener(_NoRedirect, trust, *([ProxyHandler({})] if is_local else []))
