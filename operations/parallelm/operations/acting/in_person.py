"""A session for what no token may do, such as making one: begun by a password, as a browser does, and ended at once."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final

import httpx

from parallelm.operations.acting.server_client import ServerClient
from parallelm.operations.errors import ServerRefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parallelm.connections import ServerSettings

_ANSWER_S: Final = 30.0
_CSRF: Final = re.compile(r'<meta name="csrf-token" content="([^"]+)"')


class _SessionClient(ServerClient):
    """Calls by a session instead of a token."""

    def __init__(self, settings: ServerSettings) -> None:
        super().__init__(settings)
        self._held: dict[str, str] = {}

    def begin(self, name: str, password: str) -> None:
        """Raises ``ServerRefusalError`` when it is refused."""
        with self._opened(_ANSWER_S, {}) as client:
            try:
                answer = client.post(f"{self._url}/sign-in", data={"name": name, "password": password})
                page = client.get(f"{self._url}/profile")
            except httpx.TransportError as error:
                raise self._away(error) from error
            token = _CSRF.search(page.text)
            if answer.is_error or token is None:
                raise ServerRefusalError(
                    f"{self._url} does not let {name} in: the password is not right, or the account is locked for a while. Who "
                    "signs in by an identity provider does this on the server's pages",
                    answer.status_code,
                )
            cookies = "; ".join(f"{key}={value}" for key, value in client.cookies.items())
            self._held = {"Cookie": cookies, "X-CSRF-Token": token[1]}

    def end(self) -> None:
        """Sign out. A session that stays ends by itself."""
        with self._opened(_ANSWER_S, self._held) as client, contextlib.suppress(httpx.TransportError):
            client.post(f"{self._url}/sign-out")

    def _proof(self) -> dict[str, str]:
        return self._held


@contextlib.contextmanager
def in_person(settings: ServerSettings, name: str, password: str) -> Iterator[ServerClient]:
    """Calls by a session of somebody, which ends with the block. Raises as ``ServerClient``."""
    client = _SessionClient(settings)
    client.begin(name, password)
    try:
        yield client
    finally:
        client.end()
