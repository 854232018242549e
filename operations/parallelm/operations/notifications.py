"""The notifier's file as people see it: who is notified of what, and a message to try it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from parallelm.operations.actions import ALL_MLAPPS, new_action, record_action
from parallelm.operations.errors import InvalidFileError, OperationError
from parallelm.schemas.well_known import TEST_NOTIFICATION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.connections import Settings
    from parallelm.definitions.notifications import NotificationRules
    from parallelm.operations.authors import Author
    from parallelm.stream_processors.notifications.routing import Route


class NoNotificationsFileError(OperationError):
    """This server was not told where the notifier's file is."""


class UnknownRouteError(OperationError):
    """The notifier's file has no such route."""


@dataclass(frozen=True, slots=True)
class ShownRoute:
    """A route with everything that it inherits, in the words of the file."""

    path: str
    """Its section and numbers: ``alerts/0``."""
    name: str
    depth: int
    matchers: tuple[str, ...]
    """Empty: everything that the routes below do not take."""
    receiver: str
    targets: tuple[str, ...]
    """What the receiver sends to: ids without any secret."""
    group_by: tuple[str, ...]
    group_wait_ms: int
    repeat_interval_ms: int
    goes_on: bool


def notifications_file(settings: Settings) -> Path | None:
    """Where the server finds the notifier's file; None where it was not told."""
    return Path(settings.server.notifications_file) if settings.server.notifications_file else None


def known_file(settings: Settings) -> Path:
    """The same; raises ``NoNotificationsFileError``."""
    if (file := notifications_file(settings)) is None:
        raise NoNotificationsFileError(
            "this server does not know the notifier's file: name it in MCENTER_SERVER_NOTIFICATIONS_FILE"
        )
    return file


def read_notifications(file: Path, environ: Mapping[str, str] | None) -> NotificationRules:
    """Rules of a file; raises ``InvalidFileError`` with every mistake. ``environ`` None: variables are not looked up."""
    from parallelm.definitions import DefinitionError
    from parallelm.stream_processors.notifications.edge.targets import read_rules

    try:
        return read_rules(file, environ)
    except OSError as error:
        raise InvalidFileError(
            f"{file} cannot be read: {error.strerror}; name the file with --file"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidFileError(f"{file} is not UTF-8: {error.reason} at byte {error.start}") from error
    except DefinitionError as error:
        raise InvalidFileError(f"{file} is not a valid file of notifications:\n{error}") from error


def routes_of(rules: NotificationRules) -> list[ShownRoute]:
    """Every route of a file, each below the one around it."""
    from parallelm.stream_processors.notifications.desk import route_trees

    return [route for tree in route_trees(rules).values() for route in _shown(tree, rules, 0)]


def try_route(rules: NotificationRules, name: str) -> dict[str, str]:
    """Send a test message to the receiver of a route: why it failed by target, empty where it was sent.

    Raises ``UnknownRouteError``.
    """
    from parallelm.stream_processors.notifications.edge import trial

    try:
        return trial.try_route(rules, name)
    except trial.UnknownRouteError as error:
        raise UnknownRouteError(str(error)) from error


def send_test(settings: Settings, name: str, *, who: Author) -> dict[str, str]:
    """Send a test message along a route of the server's file, with an action in the audit log; raises as ``try_route``."""
    rules = read_notifications(known_file(settings), os.environ)
    record_action(settings, new_action(TEST_NOTIFICATION, ALL_MLAPPS, who=who, target=name))
    return try_route(rules, name)


def _shown(route: Route, rules: NotificationRules, depth: int) -> Iterator[ShownRoute]:
    receiver = rules.receivers.get(route.receiver or "")
    yield ShownRoute(
        route.path,
        route.name,
        depth,
        tuple(str(matcher) for matcher in route.matchers),
        route.receiver or "",
        tuple(receiver.target_ids()) if receiver else (),
        route.group_by,
        route.group_wait_ms,
        route.repeat_interval_ms,
        route.goes_on,
    )
    for each in route.routes:
        yield from _shown(each, rules, depth + 1)
