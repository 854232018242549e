"""Calls of a server's API: one token, one key a call, and every refusal as an error in words.

An action carries an ``Idempotency-Key``. So a call whose answer is lost is sent again and still acts once.
"""

from __future__ import annotations

import time
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx

from parallelm.connections.tls import remedy, trust_context
from parallelm.operations.errors import (
    NotAllowedError,
    OperationError,
    ServerAwayError,
    ServerRefusalError,
    TokenRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from parallelm.connections import ServerSettings

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_CONNECT_S: Final = 10.0
_ANSWER_S: Final = 90.0
"""Beyond what the server waits for the processors."""
_LONGEST_PAUSE_S: Final = 60
_PAUSES_S: Final = (1.0, 2.0, 4.0)
"""Before each further try of a call whose answer was lost: as long as a server takes to start again."""


class _Fields(dict[str, Any]):
    """An object of an answer; says what it lacks."""

    def __missing__(self, name: str) -> Any:
        raise ServerRefusalError(
            f"the server gives an answer that is not understood, without {name!r}: is it of another version than this command?"
        )


class ServerClient:
    """Calls as the account of the settings' token. Raises ``OperationError`` and its kinds."""

    def __init__(self, settings: ServerSettings) -> None:
        self._url = settings.url.rstrip("/")
        self._token = settings.token
        parts = urlsplit(self._url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise OperationError(
                f"[server] url is {settings.url!r}; it must be an address such as https://mlops.example.org"
            )
        self._is_local = parts.hostname in LOOPBACK
        if parts.scheme == "http" and not self._is_local:
            raise OperationError(
                f"[server] url is {settings.url!r}: a token must not go over a network unencrypted; use https"
            )
        try:
            self._trust = trust_context(settings.ca_certs) if parts.scheme == "https" else False
        except OSError as error:
            raise OperationError(
                f"[server] ca_certs is {settings.ca_certs!r}, which is not read: {error}"
            ) from error

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """What is read."""
        return self._answer("GET", path, params=params)

    def get_with_tag(self, path: str) -> tuple[Any, str]:
        """What is read, and its entity tag for ``If-Match`` of a change; empty where it has none."""
        with self._opened(_ANSWER_S, {**self._proof(), "Accept": "application/json"}) as client:
            answer = self._sent(client, "GET", path, {})
            return self._read(answer), answer.headers.get("ETag", "")

    def post(self, path: str, *, answer_s: float = _ANSWER_S, **sent: Any) -> Any:
        """An action; ``sent`` as for ``httpx``. Its answer is waited for ``answer_s`` seconds."""
        return self._answer("POST", path, answer_s=answer_s, **sent)

    def post_open(self, path: str, **sent: Any) -> Any:
        """A call that needs no token."""
        return self._answer("POST", path, needs_token=False, **sent)

    def put(self, path: str, **sent: Any) -> Any:
        """What something is to be."""
        return self._answer("PUT", path, **sent)

    def patch(self, path: str, **sent: Any) -> Any:
        """What is to be different of something."""
        return self._answer("PATCH", path, **sent)

    def delete(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Something that is to go."""
        return self._answer("DELETE", path, params=params)

    def _answer(
        self, method: str, path: str, *, answer_s: float = _ANSWER_S, needs_token: bool = True, **sent: Any
    ) -> Any:
        if needs_token and not self._token:
            raise TokenRefusedError(
                f"no token for {self._url} is known: sign in with `mcenter login {self._url}`, or name one in [server] token"
            )
        headers = {
            **(self._proof() if needs_token else {}),
            "Accept": "application/json",
            "Idempotency-Key": uuid.uuid4().hex,
            **sent.pop("headers", {}),
        }
        with self._opened(answer_s, headers) as client:
            return self._read(self._sent(client, method, path, sent))

    def _proof(self) -> dict[str, str]:
        """Headers that say who asks."""
        return {"Authorization": f"Bearer {self._token}"}

    def _opened(self, answer_s: float, headers: Mapping[str, str]) -> httpx.Client:
        timeout = httpx.Timeout(answer_s, connect=_CONNECT_S)
        return httpx.Client(
            verify=self._trust, trust_env=not self._is_local, timeout=timeout, headers=headers
        )

    def _sent(self, client: httpx.Client, method: str, path: str, sent: Mapping[str, Any]) -> httpx.Response:
        """The answer, after as many tries as make sense; the key of all is the same."""
        lost: Exception | None = None
        was_limited = False
        for pause_s in (*_PAUSES_S, None):
            wait_s = pause_s
            try:
                answer = client.request(method, f"{self._url}{path}", **_from_start(sent))
            except (httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError) as error:
                lost = error
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if lost is None:
                    raise self._away(error) from error
            except httpx.TransportError as error:
                raise self._unknown(error) from error
            else:
                wait_s = _pause_s(answer)
                if pause_s is None or wait_s is None or (was_limited and _is_limit(answer)):
                    return answer
                was_limited = was_limited or _is_limit(answer)
            if wait_s is None:
                break
            time.sleep(wait_s)
        raise self._unknown(lost) from lost

    def _away(self, error: Exception) -> ServerAwayError:
        why = f"{error}; {hint}" if (hint := remedy(error)) else str(error) or "no answer in time"
        return ServerAwayError(
            f"no server answers at {self._url}: {why}. Nothing was done. Start it with `mcenter server`, or name its "
            "address in [server] url (MCENTER_SERVER_URL)"
        )

    def _unknown(self, error: Exception | None) -> ServerAwayError:
        return ServerAwayError(
            f"the server at {self._url} took the call and gave no answer ({type(error).__name__}): whether it acted is in the "
            "audit log (page Audit, or `mcenter tail actions`)"
        )

    def _read(self, answer: httpx.Response) -> Any:
        if answer.is_success and not answer.content:
            return None
        try:
            found = answer.json(object_hook=_Fields)
        except ValueError:
            found = None
        if answer.is_success and found is not None:
            return found
        problem = found if isinstance(found, dict) else {}
        if "detail" not in problem:
            raise ServerRefusalError(
                f"{self._url} is no MCenter server: it answers with status {answer.status_code} and without a reason"
                f"{_elsewhere(answer)}",
                answer.status_code,
            )
        raise self._refusal(answer, problem)

    def _refusal(self, answer: httpx.Response, problem: Mapping[str, Any]) -> ServerRefusalError:
        """The server's words, which are those of the operation; the request's id finds them in its log."""
        said, status = str(problem["detail"]), answer.status_code
        request = f" (request {problem['request_id']})" if problem.get("request_id") else ""
        if status == HTTPStatus.UNAUTHORIZED and "Authorization" in answer.request.headers:
            return TokenRefusedError(
                f"{self._url} does not accept the token: {said}. Make a new one: `mcenter login {self._url}`{request}",
                status,
            )
        if status == HTTPStatus.FORBIDDEN:
            return NotAllowedError(f"{said}{request}", status)
        if _is_limit(answer):
            after = answer.headers.get("Retry-After", "")
            when = f"; try again in {after} s" if after else ""
            return ServerRefusalError(f"{said}{when}{request}", status)
        return ServerRefusalError(f"{said}{request}", status)


def _from_start(sent: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is sent, also after a try that has read files."""
    for _, file, *_ in (sent.get("files") or {}).values():
        file.seek(0)
    return sent


def _is_limit(answer: httpx.Response) -> bool:
    return answer.status_code == HTTPStatus.TOO_MANY_REQUESTS


def _pause_s(answer: httpx.Response) -> float | None:
    """How long to wait before the same call is worth another try; None: it is not."""
    is_running = answer.status_code == HTTPStatus.CONFLICT and ":request-in-progress" in answer.text
    after = answer.headers.get("Retry-After", "")
    if (
        not (_is_limit(answer) or is_running)
        or not after.isdecimal()
        or not 0 < int(after) <= _LONGEST_PAUSE_S
    ):
        return None
    return float(after)


def _elsewhere(answer: httpx.Response) -> str:
    where = answer.headers.get("Location")
    return f"; it leads to {where}: name that address" if where else ""
