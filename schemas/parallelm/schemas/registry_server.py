"""The packaged schemas as a read-only, Confluent-compatible registry over HTTP, so that any client can decode our records."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from parallelm.schemas import packaged
from parallelm.schemas.topics import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Callable

_MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_COMPATIBILITY = "FULL_TRANSITIVE"
_MAX_REQUEST_BYTES = 1024 * 1024
_IDLE_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """A refused request: HTTP status, Confluent's error code, and why."""

    status: HTTPStatus
    error_code: int
    message: str


class Catalogue:
    """Answers of the registry, without HTTP: ``answer`` maps a method and a path to a JSON value."""

    def __init__(self, topic_prefix: str) -> None:
        self._subjects = {
            f"{topic_prefix}{topic.subject}": packaged.versions(topic.record.__name__) for topic in CATALOGUE
        }
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Any]]] = [
            ("GET", re.compile(r"/"), dict),
            ("GET", re.compile(r"/subjects"), lambda: sorted(self._subjects)),
            ("GET", re.compile(r"/subjects/([^/]+)/versions"), self._versions),
            ("GET", re.compile(r"/subjects/([^/]+)/versions/([^/]+)"), self._version),
            ("GET", re.compile(r"/subjects/([^/]+)/versions/([^/]+)/schema"), self._version_schema),
            ("POST", re.compile(r"/subjects/([^/]+)"), self._look_up),
            ("GET", re.compile(r"/schemas/ids/(\d+)"), lambda number: {"schema": self._by_id(number).text}),
            (
                "GET",
                re.compile(r"/schemas/ids/(\d+)/schema"),
                lambda number: json.loads(self._by_id(number).text),
            ),
            ("GET", re.compile(r"/schemas/ids/(\d+)/versions"), self._uses),
            ("GET", re.compile(r"/schemas/types"), lambda: ["AVRO"]),
            ("GET", re.compile(r"/config"), lambda: {"compatibilityLevel": _COMPATIBILITY}),
            ("GET", re.compile(r"/config/([^/]+)"), self._config),
            ("GET", re.compile(r"/mode"), lambda: {"mode": "READONLY"}),
        ]

    def answer(self, method: str, path: str, body: bytes = b"") -> Any:
        """JSON value for a request; raises ``Refusal``."""
        known = False
        for wanted, pattern, function in self._routes:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            known = True
            if wanted == method:
                arguments = [unquote(group) for group in match.groups()]
                return function(*arguments, body) if method == "POST" else function(*arguments)
        if known or method != "GET":
            raise Refusal(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                42205,
                "this registry serves the packaged schemas, read-only; write to a registry of your own and name it "
                "in MCENTER_SCHEMA_REGISTRY_URL",
            )
        raise Refusal(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_FOUND, f"there is nothing at {path!r}")

    def _of(self, subject: str) -> tuple[packaged.PackagedSchema, ...]:
        try:
            return self._subjects[subject]
        except KeyError:
            raise Refusal(HTTPStatus.NOT_FOUND, 40401, f"Subject {subject!r} not found.") from None

    def _versions(self, subject: str) -> list[int]:
        return [schema.version for schema in self._of(subject)]

    def _version(self, subject: str, version: str) -> dict[str, Any]:
        schemas = self._of(subject)
        if version in {"latest", "-1"}:
            return _described(subject, schemas[-1])
        for schema in schemas:
            if str(schema.version) == version:
                return _described(subject, schema)
        raise Refusal(HTTPStatus.NOT_FOUND, 40402, f"Version {version} not found.")

    def _version_schema(self, subject: str, version: str) -> Any:
        return json.loads(self._version(subject, version)["schema"])

    def _look_up(self, subject: str, body: bytes) -> dict[str, Any]:
        try:
            wanted = json.loads(json.loads(body)["schema"])
        except (ValueError, KeyError, TypeError):
            raise Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, 42201, "The body holds no Avro schema.") from None
        for schema in self._of(subject):
            if json.loads(schema.text) == wanted:
                return _described(subject, schema)
        raise Refusal(HTTPStatus.NOT_FOUND, 40403, "Schema not found.")

    def _by_id(self, number: str) -> packaged.PackagedSchema:
        try:
            return packaged.by_id()[int(number)]
        except (KeyError, ValueError):
            raise Refusal(HTTPStatus.NOT_FOUND, 40403, f"Schema {number} not found.") from None

    def _uses(self, number: str) -> list[dict[str, Any]]:
        wanted = self._by_id(number)
        return [
            {"subject": subject, "version": wanted.version}
            for subject, schemas in self._subjects.items()
            if wanted in schemas
        ]

    def _config(self, subject: str) -> dict[str, str]:
        self._of(subject)
        return {"compatibilityLevel": _COMPATIBILITY}


def _described(subject: str, schema: packaged.PackagedSchema) -> dict[str, Any]:
    return {
        "subject": subject,
        "version": schema.version,
        "id": schema.schema_id,
        "schemaType": "AVRO",
        "schema": schema.text,
    }


class RegistryServer(ThreadingHTTPServer):
    """HTTP server of the packaged schemas; ``serve_forever`` runs it, ``shutdown`` from another thread ends it."""

    daemon_threads = True

    def __init__(self, host: str, port: int, topic_prefix: str) -> None:
        self.catalogue = Catalogue(topic_prefix)
        self.requests = 0
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log what ended a client's thread, unless the client hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RegistryServer
    timeout = _IDLE_TIMEOUT_S

    def do_GET(self) -> None:
        self._respond()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the base class's names

    def _respond(self) -> None:
        status = HTTPStatus.OK
        try:
            answer = self.server.catalogue.answer(self.command, urlsplit(self.path).path, self._body())
        except Refusal as refusal:
            status = refusal.status
            answer = {"error_code": refusal.error_code, "message": refusal.message}
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", _MEDIA_TYPE)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _MAX_REQUEST_BYTES:
            self.close_connection = True
            raise Refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body too large"
            )
        return self.rfile.read(int(length))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's signature
        """Keep quiet: every consumer asks once for each id."""
