"""Titles and bodies of messages: small templates with named values, in Jinja's sandbox."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parallelm.stream_processors.notifications.book import Notice
    from parallelm.stream_processors.notifications.items import Item

MAX_TITLE, MAX_BODY = 300, 20_000
MAX_ITEMS = 100
"""A body and a webhook's payload list so many members of each kind; the counts are of all."""

DEFAULT_TITLE = (
    "[{{ status | upper }}{% if firing_count %}:{{ firing_count }}{% endif %}]"
    "{% for name, value in group_labels.items() %}{% if value %} {{ value }}{% endif %}{% endfor %}"
)
DEFAULT_BODY = """\
{% macro list_of(items) %}
{% for item in items %}
- {{ item.labels | labels }}
{% if item.reason %}
  {{ item.reason }}
{% endif %}
{% if item.value is not none %}
  {{ item.statistic or "value" }} is {{ item.value }}{% if item.threshold is not none %}, threshold {{ item.threshold }}{% endif %}

{% endif %}
{% for name, text in item.annotations.items() %}
{% if text != item.reason %}
  {{ name }}: {{ text }}
{% endif %}
{% endfor %}
  since {{ item.started_at }}{% if item.acknowledged_by %}, acknowledged by {{ item.acknowledged_by }}{% endif %}

{% endfor %}
{% endmacro %}
{% if firing %}
Firing ({{ firing_count }}):
{{ list_of(firing) }}
{% endif %}
{% if resolved %}
Resolved ({{ resolved_count }}):
{{ list_of(resolved) }}
{% endif %}
{% if events %}
Happened ({{ event_count }}):
{{ list_of(events) }}
{% endif %}
"""


class _Texts(dict[str, str]):
    """Labels or annotations as templates see them: one that is not there is an empty text."""

    def __missing__(self, name: str) -> str:
        return ""


def _labels(labels: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))


_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,
    keep_trailing_newline=False,
)
_ENVIRONMENT.filters["labels"] = _labels


def template_mistake(text: str) -> str:
    """What is wrong with a template, or an empty text: its syntax, or a value that it uses and that there is not."""
    try:
        _ENVIRONMENT.from_string(text).render(_EXAMPLE)
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        return str(error) or type(error).__name__
    return ""


def render(title: str | None, body: str | None, values: dict[str, Any]) -> tuple[str, str, str]:
    """Title, body, and what is wrong with a template, in whose place the default then stands: no message is lost by it."""
    shown_title, wrong_title = _render(title, DEFAULT_TITLE, values)
    shown_body, wrong_body = _render(body, DEFAULT_BODY, values)
    shown_title = " ".join(_without_control(shown_title).split())
    return _cut(shown_title, MAX_TITLE), _cut(_tidy(shown_body), MAX_BODY), wrong_title or wrong_body


def message_values(notice: Notice) -> dict[str, Any]:
    """What a template can name, and what a webhook gets."""
    return {
        "status": notice.status,
        "notification_id": notice.notification_id,
        "receiver": notice.route.receiver or "",
        "route": notice.route.name,
        "group_labels": _Texts(notice.group_labels),
        "decided_at": _time(notice.decided_at_ms),
        "firing_count": len(notice.firing),
        "resolved_count": len(notice.resolved),
        "event_count": len(notice.events),
        "firing": _items(notice.firing),
        "resolved": _items(notice.resolved),
        "events": _items(notice.events),
    }


def _items(items: Sequence[Item]) -> list[dict[str, Any]]:
    return [
        {
            "labels": _Texts(item.labels),
            "annotations": _Texts(item.annotations),
            "reason": item.reason,
            "value": _number(item.value),
            "threshold": _number(item.threshold),
            "statistic": item.statistic,
            "model": item.model_id,
            "who": item.who,
            "acknowledged_by": item.acknowledged_by,
            "id": item.episode,
            "started_at": _time(item.started_at_ms),
            "changed_at": _time(item.changed_at_ms),
        }
        for item in items[:MAX_ITEMS]
    ]


_EXAMPLE: dict[str, Any] = {
    "status": "firing", "notification_id": "id", "receiver": "receiver", "route": "route",
    "group_labels": _Texts(), "decided_at": "", "firing_count": 1, "resolved_count": 0, "event_count": 0,
    "firing": [{
        "labels": _Texts(), "annotations": _Texts(), "reason": "", "value": 1.0, "threshold": 1.0, "statistic": "",
        "model": "", "who": "", "acknowledged_by": "", "id": "", "started_at": "", "changed_at": "",
    }],
    "resolved": [], "events": [],
}  # fmt: skip


def _render(own: str | None, default: str, values: dict[str, Any]) -> tuple[str, str]:
    if own is not None:
        try:
            return _ENVIRONMENT.from_string(own).render(values), ""
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            return _ENVIRONMENT.from_string(default).render(values), f"{type(error).__name__}: {error}"
    return _ENVIRONMENT.from_string(default).render(values), ""


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _time(at_ms: int) -> str:
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
    except (OverflowError, ValueError, OSError):
        return str(at_ms)


def _without_control(text: str) -> str:
    return "".join(sign if sign.isprintable() or sign in "\n\t " else " " for sign in text)


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", _without_control(text)).strip()


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
