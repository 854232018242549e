"""The fields of the notifier's file, their types and their defaults."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from parallelm.definitions.form import DurationMs, Form, Identifier, Name, PositiveDurationMs
from parallelm.definitions.matchers import Matcher, parse_matcher

GROUP_BY_ALL = "..."
"""In ``group_by``: every label, so that each alert is a group of its own."""

DEFAULT_GROUP_BY = ("alertname", "mlapp")
DEFAULT_GROUP_WAIT_MS = 30_000
DEFAULT_GROUP_INTERVAL_MS = 5 * 60_000
DEFAULT_REPEAT_INTERVAL_MS = 4 * 3_600_000
DEFAULT_GIVE_UP_MS = 24 * 3_600_000


def _matcher(text: object) -> Matcher:
    if not isinstance(text, str):
        raise ValueError("a matcher must be text: label=value")  # noqa: TRY004 - pydantic takes ValueError
    return parse_matcher(text)


MatcherText = Annotated[Matcher, BeforeValidator(_matcher)]


class RouteForm(Form):
    """A route: what it matches, and what holds for that. What is left out is inherited from the route around it."""

    name: Identifier | None = None
    matchers: list[MatcherText] = Field(default_factory=list)
    receiver: Name | None = None
    continue_: bool = Field(default=False, alias="continue")
    group_by: list[Name] | None = None
    group_wait: DurationMs | None = None
    group_interval: PositiveDurationMs | None = None
    repeat_interval: PositiveDurationMs | None = None
    routes: list[RouteForm] = Field(default_factory=list)


class RateLimitForm(Form):
    """At most so many notifications in a time."""

    count: int = Field(gt=0)
    per: PositiveDurationMs


class ReceiverForm(Form):
    """Somebody who is notified, at one or more targets."""

    name: Name
    targets: list[Any] = Field(default_factory=list, repr=False)
    send_resolved: bool = True
    title: str | None = None
    body: str | None = None
    rate_limit: RateLimitForm | None = None
    give_up_after: PositiveDurationMs = DEFAULT_GIVE_UP_MS


class InhibitForm(Form):
    """While an alert of ``source`` fires, those of ``target`` with the same values of ``equal`` are muted."""

    source: list[MatcherText] = Field(min_length=1)
    target: list[MatcherText] = Field(min_length=1)
    equal: list[Name] = Field(default_factory=list)


class NotificationsForm(Form):
    """The file's top level."""

    receivers: list[Any] = Field(min_length=1, repr=False)
    alerts: RouteForm
    deployments: RouteForm | None = None
    inhibit: list[InhibitForm] = Field(default_factory=list)
