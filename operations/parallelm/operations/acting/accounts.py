"""Accounts, groups and tokens. They are in a server's SQL database, so only a server shows and changes them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal

from parallelm.operations.acting.calls import path_of
from parallelm.operations.errors import OperationError, ServerRefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from parallelm.connections import Settings
    from parallelm.operations.acting.server_client import ServerClient

_PAGE: Final = 1000
_TRIES: Final = 9
Holder = Literal["users", "groups"]
"""What has roles."""


def server_of(settings: Settings) -> ServerClient:
    """Calls of the server that the settings name; raises ``OperationError`` when they name none."""
    if not settings.server.url:
        raise OperationError(
            "accounts, groups and tokens are kept by a server: sign in at it with `mcenter login URL`, or name it in "
            "[server] url (MCENTER_SERVER_URL)"
        )
    from parallelm.operations.acting.server_client import ServerClient

    return ServerClient(settings.server)


class Accounts:
    """What an administrator does to accounts and groups; raises as ``ServerClient``."""

    def __init__(self, server: ServerClient) -> None:
        self._server = server

    def all_of(self, what: Holder) -> list[dict[str, Any]]:
        """All of them, by name."""
        found: list[dict[str, Any]] = []
        asked: dict[str, Any] = {"limit": _PAGE}
        while True:
            page = self._server.get(path_of(what), asked)
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            asked["cursor"] = page["next_cursor"]

    def get(self, what: Holder, name: str) -> dict[str, Any]:
        """One of them."""
        return dict(self._server.get(path_of(what, name)))

    def make(self, what: Holder, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """A new one; ``wanted`` as the API takes it."""
        return dict(self._server.post(path_of(what), json=wanted))

    def change(self, what: Holder, name: str, **wanted: Any) -> dict[str, Any]:
        """What is not named stays."""
        return dict(self._server.patch(path_of(what, name), json=wanted))

    def delete_group(self, name: str) -> None:
        """Its members lose its roles."""
        self._server.delete(path_of("groups", name))

    def grant(self, what: Holder, name: str, role: str, mlapp_id: str) -> None:
        """One role more."""
        wanted = {"role": role, "mlapp_id": mlapp_id}
        self._changed(what, name, lambda found: {"roles": [*found["roles"], wanted]})

    def revoke(self, what: Holder, name: str, role: str, mlapp_id: str) -> None:
        """One role less; raises ``OperationError`` when it is not there."""

        def without(found: dict[str, Any]) -> dict[str, Any]:
            held = found["roles"]
            kept = [each for each in held if (each["role"], each["mlapp_id"]) != (role, mlapp_id)]
            if len(kept) == len(held):
                raise OperationError(
                    f"{name} has no role {role} on {mlapp_id} of its own; it has: {in_words(held) or 'none'}"
                )
            return {"roles": kept}

        self._changed(what, name, without)

    def join(self, group: str, name: str) -> None:
        """Make an account a member."""
        self._changed("groups", group, lambda found: {"members": [*found["members"], name]})

    def leave(self, group: str, name: str) -> None:
        """Make it none; raises ``OperationError`` when it stays, or is none."""
        lower = name.strip().lower()

        def without(found: dict[str, Any]) -> dict[str, Any]:
            if lower not in found["members"]:
                raise OperationError(f"{name} is no member of {group}")
            return {"members": [each for each in found["members"] if each != lower]}

        if lower in self._changed("groups", group, without)["members"]:
            raise OperationError(f"{name} stays in {group}: the identity provider says who is in it")

    def _changed(
        self, what: Holder, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> dict[str, Any]:
        """Change what is there now; anew when somebody else was faster, so that neither undoes what the other does."""
        path = path_of(what, name)
        for is_last in (*(False,) * _TRIES, True):
            found, tag = self._server.get_with_tag(path)
            headers = {"If-Match": tag} if tag else {}
            try:
                return dict(self._server.patch(path, json=change(found), headers=headers))
            except ServerRefusalError as error:
                if error.status != HTTPStatus.PRECONDITION_FAILED or is_last:
                    raise
        raise AssertionError

    def unlock(self, name: str) -> None:
        """Forget failed attempts to sign in."""
        self._server.post(path_of("users", name, "unlock"))

    def sign_out(self, name: str) -> None:
        """End all sessions of an account."""
        self._server.delete(path_of("users", name, "sessions"))

    def password_link(self, name: str) -> tuple[str, int]:
        """A link by which the person chooses a password, and for how many hours it holds."""
        made = self._server.post(path_of("users", name, "password-link"))
        return str(made["url"]), int(made["valid_hours"])


class Tokens:
    """Tokens of one account: of a service account, or with a session those of one's own. Raises as ``ServerClient``."""

    def __init__(self, server: ServerClient, account: str | None) -> None:
        self._server = server
        self._path = ("me", "tokens") if account is None else ("users", account, "tokens")

    def all(self) -> list[dict[str, Any]]:
        """The newest first, without their secrets."""
        return [dict(each) for each in self._server.get(path_of(*self._path))]

    def create(self, name: str, scopes: list[str] | None, days: int) -> str:
        """The secret of a new token, which nobody is told again."""
        wanted = {"name": name, "scopes": scopes, "valid_days": days}
        return str(self._server.post(path_of(*self._path), json=wanted)["token"])

    def revoke(self, token_id: int) -> None:
        """Let it be of no more use."""
        self._server.delete(path_of(*self._path, str(token_id)))


def in_words(roles: list[dict[str, Any]]) -> str:
    """``viewer, approver on churn``."""
    return ", ".join(
        each["role"] + (f" on {each['mlapp_id']}" if each["mlapp_id"] != "*" else "") for each in roles
    )
