"""The routing tree: from an item's labels to the routes that take it, as Alertmanager does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from parallelm.definitions.matchers import all_match
from parallelm.definitions.notifications.forms import (
    DEFAULT_GROUP_BY,
    DEFAULT_GROUP_INTERVAL_MS,
    DEFAULT_GROUP_WAIT_MS,
    DEFAULT_REPEAT_INTERVAL_MS,
    GROUP_BY_ALL,
    RouteForm,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from parallelm.definitions.matchers import Matcher


@dataclass(frozen=True, slots=True)
class Route:
    """A route with everything it inherits."""

    path: str
    """Section and numbers: ``alerts``, ``alerts/0``, ``deployments/1/0``."""
    name: str
    """As in the file; else the path."""
    key: str
    """Its matchers and those around it: what groups are known by, so that they outlive a route that moves."""
    matchers: tuple[Matcher, ...]
    goes_on: bool
    receiver: str | None
    group_by: tuple[str, ...]
    group_wait_ms: int
    group_interval_ms: int
    repeat_interval_ms: int
    routes: tuple[Route, ...]

    def taking(self, labels: Mapping[str, str]) -> list[Route]:
        """The deepest routes that take these labels: the first of each level, and those after one that continues."""
        if not all_match(self.matchers, labels):
            return []
        taken: list[Route] = []
        for route in self.routes:
            found = route.taking(labels)
            taken += found
            if found and not route.goes_on:
                break
        return taken or [self]

    def group_labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Labels that the group of these labels has."""
        names = labels if GROUP_BY_ALL in self.group_by else self.group_by
        return {name: labels.get(name, "") for name in sorted(names)}

    def walk(self) -> Iterator[Route]:
        """The route and all below it."""
        yield self
        for route in self.routes:
            yield from route.walk()


def build_route(form: RouteForm, section: str) -> Route:
    """The tree of ``alerts`` or ``deployments``."""
    return _build(form, section, _root(section))


def _root(section: str) -> Route:
    return Route(
        section,
        section,
        section,
        (),
        goes_on=False,
        receiver=None,
        group_by=DEFAULT_GROUP_BY,
        group_wait_ms=DEFAULT_GROUP_WAIT_MS,
        group_interval_ms=DEFAULT_GROUP_INTERVAL_MS,
        repeat_interval_ms=DEFAULT_REPEAT_INTERVAL_MS,
        routes=(),
    )


def _build(form: RouteForm, path: str, around: Route, twin: int = 0) -> Route:
    own = "{" + ", ".join(str(matcher) for matcher in sorted(form.matchers)) + "}"
    key = path if "/" not in path else f"{around.key}/{own}" + (f"#{twin}" if twin else "")
    inherited = Route(
        path,
        form.name or path,
        key,
        tuple(form.matchers),
        goes_on=form.continue_,
        receiver=form.receiver or around.receiver,
        group_by=around.group_by if form.group_by is None else tuple(form.group_by),
        group_wait_ms=_or(form.group_wait, around.group_wait_ms),
        group_interval_ms=_or(form.group_interval, around.group_interval_ms),
        repeat_interval_ms=_or(form.repeat_interval, around.repeat_interval_ms),
        routes=(),
    )
    seen: list[list[Matcher]] = []
    children = []
    for number, route in enumerate(form.routes):
        # Two routes with the same matchers are two: the first one may continue.
        children.append(_build(route, f"{path}/{number}", inherited, seen.count(sorted(route.matchers))))
        seen.append(sorted(route.matchers))
    return replace(inherited, routes=tuple(children))


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
