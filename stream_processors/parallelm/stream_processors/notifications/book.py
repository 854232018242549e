"""The book of groups: which items are where, who was told what, and what is due. A pure state machine; time is passed in.

What it decides is a function of the records and their times: a group's first notification is due ``group_wait`` after
its first item, the next ones at steps of ``group_interval`` from there. So a notifier that was away decides afterwards
what it would have decided; only repeats are left out.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from parallelm.stream_processors.notifications.items import Item, ItemState, digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from parallelm.stream_processors.notifications.muting import Muting
    from parallelm.stream_processors.notifications.routing import Route

_UNTOLD = ""
_MISSED = "missed"
"""It fired when its target was to be told, but an earlier notification was not delivered yet."""
_TOLD = "firing"


@dataclass(frozen=True, slots=True)
class ReceiverTargets:
    """A receiver's targets, each of which is notified on its own."""

    target_ids: tuple[str, ...]
    send_resolved: bool


@dataclass(frozen=True, slots=True)
class Notice:
    """A decision to notify one target of one group."""

    notification_id: str
    group_id: str
    target: str
    route: Route
    group_labels: Mapping[str, str]
    firing: tuple[Item, ...]
    resolved: tuple[Item, ...]
    events: tuple[Item, ...]
    decided_at_ms: int

    @property
    def status(self) -> str:
        """``firing`` while any member does, else ``resolved``; ``event`` where nothing lasts."""
        return "firing" if self.firing else "resolved" if self.resolved else "event"


@dataclass(slots=True)
class Entry:
    """An item, and what its groups were told of it."""

    item: Item
    groups: dict[str, str] = field(default_factory=dict)
    """Group id to what its target was told."""


@dataclass(slots=True)
class Group:
    """Items of one route with equal values of ``group_by``, for one target."""

    group_id: str
    route: Route
    target: str
    labels: dict[str, str]
    due_ms: int
    notified_at_ms: int = 0
    """0: never."""
    waits: bool = False
    """Its last notification is not delivered yet: the next one waits for that."""
    changed: bool = True
    """Whether something came since it was looked at."""
    members: set[str] = field(default_factory=set)


class Book:
    """All items and groups. ``changes`` gives what must be stored since the last call."""

    def __init__(self, trees: Mapping[str, Route], receivers: Mapping[str, ReceiverTargets]) -> None:
        self._trees = trees
        self._receivers = receivers
        self._entries: dict[str, Entry] = {}
        self._groups: dict[str, Group] = {}
        self._firing: dict[str, str] = {}
        self._due: list[tuple[int, str]] = []
        self._touched: set[tuple[str, str]] = set()

    # ---- what comes in ------------------------------------------------------------------------------------------

    def firing(self, identity: str) -> Item | None:
        """The item of an alert or deployment that goes on."""
        item_id = self._firing.get(identity)
        return self._entries[item_id].item if item_id else None

    def absorb(self, item: Item, now_ms: int) -> None:
        """Take note of an item as it is from ``now_ms`` on."""
        entry = self._entries.setdefault(item.item_id, Entry(item))
        entry.item = item
        if item.is_firing:
            self._firing[item.identity] = item.item_id
        elif self._firing.get(item.identity) == item.item_id:
            del self._firing[item.identity]
        if item.state is not ItemState.RESOLVED:
            self._enter_groups(entry, now_ms)
        for group_id in entry.groups:
            self._groups[group_id].changed = True
        self._touch("item", item.item_id)
        self._drop_if_unused(item.item_id)

    def begin(self, now_ms: int) -> None:
        """Start with what goes on now, as if it had begun now: for a notifier without a past."""
        for entry in list(self._entries.values()):
            if not entry.item.is_firing:
                self._leave_all(entry)
        for group in list(self._groups.values()):
            self._schedule(group, now_ms + group.route.group_wait_ms)

    def delivered(self, group_id: str) -> None:
        """The group's last notification was sent or given up."""
        group = self._groups.get(group_id)
        if group is not None:
            group.waits = False
            self._touch("group", group_id)
            self._drop_group_if_empty(group)

    # ---- what is due --------------------------------------------------------------------------------------------

    @property
    def firing_items(self) -> Iterable[Item]:
        """Every item that goes on."""
        return (self._entries[item_id].item for item_id in self._firing.values())

    @property
    def group_count(self) -> int:
        """Groups there are."""
        return len(self._groups)

    def next_due_ms(self) -> int | None:
        """When the next group is to be looked at."""
        while self._due and self._due_group(self._due[0]) is None:
            heapq.heappop(self._due)
        return self._due[0][0] if self._due else None

    def flush(self, until_ms: int, muting: Muting, *, live: bool) -> list[Notice]:
        """What is to be sent of all groups that are due until then. ``live``: repeats are due as well."""
        notices = []
        while (due := self.next_due_ms()) is not None and due <= until_ms:
            group = self._groups[heapq.heappop(self._due)[1]]
            interval = group.route.group_interval_ms
            if not group.changed:
                due += (until_ms - due) // interval * interval
            self._schedule(group, due + interval)
            if group.changed or live:
                notice = self._look_at(group, due, muting, live=live)
                if notice is not None:
                    notices.append(notice)
            self._drop_group_if_empty(group)
        return notices

    def _look_at(self, group: Group, now_ms: int, muting: Muting, *, live: bool) -> Notice | None:
        members = [self._entries[item_id] for item_id in sorted(group.members)]
        shown: list[Entry] = []
        muted: list[Entry] = []
        for entry in members:
            (muted if muting.mutes(entry.item, now_ms) else shown).append(entry)
        if group.waits:
            self._note_missed(group, shown)
            return None
        group.changed = bool(muted)
        for entry in muted:
            # An end that is muted is told later, when what fired was told. All other news of muted ones is over.
            if not entry.item.is_firing and entry.groups[group.group_id] == _UNTOLD:
                self._leave(entry, group)
        firing = [entry for entry in shown if entry.item.is_firing]
        events = [entry for entry in shown if entry.item.state is ItemState.EVENT]
        ended = [entry for entry in shown if entry.item.state is ItemState.RESOLVED]
        resolved = [entry for entry in ended if self._is_told_of_end(group, entry)]
        notice = None
        if resolved or events or self._news(group, firing, now_ms, live=live):
            notice = _notice(group, firing, resolved, events, now_ms)
            for entry in firing:
                if entry.groups[group.group_id] != _TOLD:
                    entry.groups[group.group_id] = _TOLD
                    self._touch("item", entry.item.item_id)
            group.notified_at_ms, group.waits = now_ms, True
            self._touch("group", group.group_id)
        for entry in (*ended, *events):
            self._leave(entry, group)
        return notice

    def _note_missed(self, group: Group, shown: list[Entry]) -> None:
        """What would have been told now must not be forgotten if it ends before it can be."""
        for entry in shown:
            if entry.item.is_firing and entry.groups[group.group_id] == _UNTOLD:
                entry.groups[group.group_id] = _MISSED
                self._touch("item", entry.item.item_id)

    def _is_told_of_end(self, group: Group, entry: Entry) -> bool:
        told = entry.groups[group.group_id]
        return told == _MISSED or (
            told == _TOLD and self._receivers[group.route.receiver or ""].send_resolved
        )

    def _news(self, group: Group, firing: list[Entry], now_ms: int, *, live: bool) -> bool:
        if any(entry.groups[group.group_id] != _TOLD for entry in firing):
            return True
        is_repeat_due = now_ms - group.notified_at_ms >= group.route.repeat_interval_ms
        return live and is_repeat_due and any(not entry.item.acknowledged_by for entry in firing)

    # ---- groups -------------------------------------------------------------------------------------------------

    def _places(self, item: Item) -> Iterable[tuple[Route, str]]:
        tree = self._trees.get(item.section)
        for route in tree.taking(item.labels) if tree else ():
            receiver = self._receivers.get(route.receiver or "")
            for target in receiver.target_ids if receiver else ():
                yield route, target

    def _enter_groups(self, entry: Entry, now_ms: int) -> None:
        for route, target in self._places(entry.item):
            labels = route.group_labels(entry.item.labels)
            group_id = digest(route.key, target, labels)
            group = self._groups.get(group_id)
            if group is None:
                group = self._groups[group_id] = Group(group_id, route, target, labels, 0)
                self._schedule(group, now_ms + route.group_wait_ms)
            elif group.due_ms <= now_ms:
                # It was not looked at for a while: its next look stays on its steps.
                behind = now_ms - group.due_ms
                self._schedule(
                    group, group.due_ms + (behind // route.group_interval_ms + 1) * route.group_interval_ms
                )
            group.members.add(entry.item.item_id)
            entry.groups.setdefault(group_id, _UNTOLD)
            self._touch("group", group_id)

    def _schedule(self, group: Group, due_ms: int) -> None:
        group.due_ms = due_ms
        heapq.heappush(self._due, (due_ms, group.group_id))

    def _due_group(self, entry: tuple[int, str]) -> Group | None:
        group = self._groups.get(entry[1])
        return group if group is not None and group.due_ms == entry[0] else None

    def _leave(self, entry: Entry, group: Group) -> None:
        entry.groups.pop(group.group_id, None)
        group.members.discard(entry.item.item_id)
        self._touch("item", entry.item.item_id)
        self._drop_if_unused(entry.item.item_id)

    def _leave_all(self, entry: Entry) -> None:
        for group_id in list(entry.groups):
            group = self._groups[group_id]
            self._leave(entry, group)
            self._drop_group_if_empty(group)

    def _drop_if_unused(self, item_id: str) -> None:
        entry = self._entries.get(item_id)
        if entry is not None and not entry.groups and not entry.item.is_firing:
            del self._entries[item_id]

    def _drop_group_if_empty(self, group: Group) -> None:
        if not group.members and not group.waits and group.group_id in self._groups:
            del self._groups[group.group_id]
            self._touch("group", group.group_id)

    # ---- what is stored -----------------------------------------------------------------------------------------

    def _touch(self, kind: str, name: str) -> None:
        self._touched.add((kind, name))

    def changes(self) -> dict[tuple[str, str], dict[str, Any] | None]:
        """Bodies to store by kind and name since the last call; None where it is gone."""
        changed: dict[tuple[str, str], dict[str, Any] | None] = {}
        for kind, name in sorted(self._touched):
            changed[kind, name] = self._item_body(name) if kind == "item" else self._group_body(name)
        self._touched.clear()
        return changed

    def _item_body(self, item_id: str) -> dict[str, Any] | None:
        entry = self._entries.get(item_id)
        return None if entry is None else {"item": entry.item.to_json(), "groups": dict(entry.groups)}

    def _group_body(self, group_id: str) -> dict[str, Any] | None:
        group = self._groups.get(group_id)
        if group is None:
            return None
        return {"due_ms": group.due_ms, "notified_at_ms": group.notified_at_ms, "waits": group.waits}

    def restore(
        self, items: Mapping[str, Mapping[str, Any]], groups: Mapping[str, Mapping[str, Any]], now_ms: int
    ) -> None:
        """Go on from what was stored. Items whose routes have changed since enter their new groups now."""
        for name, body in items.items():
            item = Item.from_json(body["item"])
            entry = self._entries[name] = Entry(item)
            if item.is_firing:
                self._firing[item.identity] = name
            stored: Mapping[str, str] = body["groups"]
            for route, target in self._places(item):
                labels = route.group_labels(item.labels)
                group_id = digest(route.key, target, labels)
                if group_id in stored:
                    self._rejoin(
                        entry,
                        Group(group_id, route, target, labels, now_ms),
                        groups.get(group_id),
                        stored[group_id],
                    )
            if item.is_firing:
                self._enter_groups(entry, now_ms)
            if set(entry.groups) != set(stored):
                self._touch("item", name)
            self._drop_if_unused(name)
        for name in groups:
            if name not in self._groups:
                self._touch("group", name)

    def _rejoin(self, entry: Entry, fresh: Group, body: Mapping[str, Any] | None, told: str) -> None:
        group = self._groups.get(fresh.group_id)
        if group is None:
            group = self._groups[fresh.group_id] = fresh
            if body is not None:
                group.notified_at_ms, group.waits = body["notified_at_ms"], body["waits"]
            self._schedule(
                group, body["due_ms"] if body is not None else fresh.due_ms + fresh.route.group_wait_ms
            )
        group.members.add(entry.item.item_id)
        entry.groups[group.group_id] = told


def _notice(
    group: Group, firing: list[Entry], resolved: list[Entry], events: list[Entry], now_ms: int
) -> Notice:
    def items(entries: list[Entry]) -> tuple[Item, ...]:
        return tuple(
            sorted(
                (entry.item for entry in entries),
                key=lambda item: (item.started_at_ms, sorted(item.labels.items()), item.item_id),
            )
        )

    members = [
        (item.item_id, item.transition_id) for item in (*items(firing), *items(resolved), *items(events))
    ]
    notification_id = digest(group.group_id, now_ms, members)
    return Notice(
        notification_id,
        group.group_id,
        group.target,
        group.route,
        dict(group.labels),
        items(firing),
        items(resolved),
        items(events),
        now_ms,
    )
