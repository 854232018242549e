"""Erasing as a task of the server: what there is, and its end; for the API and the page."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from parallelm.operations import erasing
from parallelm.server import background
from parallelm.server.accounts.erasing import KIND, places
from parallelm.server.accounts.tasks import Order
from parallelm.warehouse.erasure import OfMLApp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parallelm.operations.authors import Author
    from parallelm.operations.erasing import Found, Held
    from parallelm.server.background import Report
    from parallelm.server.context import ServerContext
    from parallelm.warehouse.erasure import Selection


def find(context: ServerContext, selection: Selection) -> tuple[Found, list[dict[str, Any]]]:
    """What there is, and what Kafka holds; nothing is changed. Raises as ``erasing.find`` and ``held_by_kafka``."""
    found = erasing.find(
        context.admin_settings, selection, places(context.database, context.audit, selection)
    )
    return found, shown(erasing.held_by_kafka(context.settings))


def begin(context: ServerContext, selection: Selection, who: Author, comment: str) -> str:
    """Begin to erase it; the task's id. Raises ``TaskGoesOnError``."""

    def work(report: Report) -> Mapping[str, Any]:
        done = erasing.erase(
            context.admin_settings,
            selection,
            who=who,
            comment=comment,
            more=places(context.database, context.audit, selection),
            on_step=lambda step: report(0.0, step),
        )
        return {name: dict(getattr(done, name)) for name in ("rows", "things", "since")} | {
            "held": shown(done.held)
        }

    mlapp_id = selection.mlapp_id if isinstance(selection, OfMLApp) else ""
    order = Order(kind=KIND, about=str(selection), asked_by=who.name, mlapp_id=mlapp_id)
    return background.begin(context.database, order, work)


def shown(held: Sequence[Held]) -> list[dict[str, Any]]:
    """What topics do with old records, as JSON."""
    now_ms = time.time_ns() // 1_000_000
    return [
        asdict(each) | {"holds": each.in_words, "until": until.isoformat() if until else None}
        for each in held
        for until in [each.until(now_ms)]
    ]
