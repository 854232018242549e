"""What is remembered of an origin's watched series, in memory and in the changelog.

The series of an origin lie on pages of some hundred each: a page is one record of the changelog. So a batch writes as many
records as it has touched pages, whatever the number of series, and no record grows with the number of series.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from parallelm.stream_processors.alerts.series import MAX_HELD, Memory, due_ms
from parallelm.stream_processors.runtime.dead_letters import InvalidRecordError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from parallelm.stream_processors.alerts.rules import SeriesRule

PAGE_BYTES = 400_000
"""What the series of a page may need at most; a record of the changelog takes about twice as much."""
_SLOT_BYTES = 1_000
_HELD_BYTES = 60 * MAX_HELD
_CHARACTER_BYTES = 12
"""Largest size of a character in JSON."""
PAGE = "series"
"""Kind of the pages in the changelog."""

NOT_APPLIED = (0, 0)
OriginIds = tuple[str, str, str, str]
"""MLApp, node, pipeline instance and agent."""


class Seen(NamedTuple):
    """A series as a rule of a certain form sees it."""

    origin: OriginIds
    form: str
    labels: Mapping[str, str]
    statistic: str
    model_id: str


@dataclass(frozen=True, slots=True)
class PageBody:
    """One page as it is stored."""

    origin: list[str]
    slots: list[Any]
    """For each series: form of the rule, labels, statistic, model and memory."""
    due_ms: float | None = None
    applied: tuple[int, int] = NOT_APPLIED
    """Version and time of the definition that its series were judged by."""


class Slot:
    """One series for one rule."""

    __slots__ = ("labels", "memory", "model_id", "page", "rule", "statistic")

    def __init__(
        self, rule: SeriesRule, labels: Mapping[str, str], statistic: str, page: Page, memory: Memory
    ) -> None:
        self.rule = rule
        self.labels = labels
        self.statistic = statistic
        self.model_id = ""
        self.page = page
        self.memory = memory

    def seen(self) -> Seen:
        """What travels on says this of it."""
        ids, form = self.page.origin.ids, self.rule.settings.form
        return Seen(ids, form, self.labels, self.statistic, self.model_id)


SlotKey = tuple[str, str, tuple[tuple[str, str], ...]]
"""Form of the rule, model where the alert is about one, and labels."""


def slot_key(rule: SeriesRule, model_id: str, labels: Mapping[str, str]) -> SlotKey:
    """What tells one series of a rule from the others of its origin."""
    return rule.settings.form, model_id if rule.about_model else "", tuple(sorted(labels.items()))


def needed_bytes(rule: SeriesRule, labels: Mapping[str, str], statistic: str) -> int:
    """Room that a series may need on its page."""
    characters = sum(len(key) + len(value) for key, value in labels.items()) + len(statistic)
    held = _HELD_BYTES if rule.settings.grace_ms else 0
    return _SLOT_BYTES + held + rule.memory_bytes + _CHARACTER_BYTES * characters


class Page:
    """Some series of an origin."""

    __slots__ = ("name", "origin", "room", "slots")

    def __init__(self, origin: Origin, name: str) -> None:
        self.origin = origin
        self.name = name
        self.slots: dict[SlotKey, Slot] = {}
        self.room = PAGE_BYTES

    def put(self, key: SlotKey, slot: Slot) -> None:
        """Take a series in."""
        self.slots[key] = slot
        self.room -= needed_bytes(slot.rule, slot.labels, slot.statistic)

    def take_out(self, key: SlotKey) -> None:
        """Let a series go."""
        slot = self.slots.pop(key)
        self.room += needed_bytes(slot.rule, slot.labels, slot.statistic)

    def body(self) -> PageBody | None:
        """The page as it is stored; None when nothing is on it. Of a series without a usable sample there is nothing."""
        known = [slot for slot in self.slots.values() if slot.memory.arrived_ms]
        if not known:
            return None
        slots = [
            [slot.rule.settings.form, dict(slot.labels), slot.statistic, slot.model_id, slot.memory]
            for slot in known
        ]
        due = min(due_ms(slot.memory, slot.rule.settings) for slot in known)
        due_at = due if due < math.inf else None
        return PageBody(list(self.origin.ids), slots, due_at, self.origin.applied)


@dataclass(slots=True)
class Origin:
    """One origin with its watched series."""

    ids: OriginIds
    pages: list[Page] = field(default_factory=list)
    slots: dict[SlotKey, Slot] = field(default_factory=dict)
    found: dict[Any, Any] = field(default_factory=dict)
    """Answers to look-ups of series by what identifies them in a record."""
    generation: int = -1
    """Of the rules under which the answers hold."""
    applied: tuple[int, int] = NOT_APPLIED
    """Version and time of the definition that its series are judged by."""

    def add(self, key: SlotKey, rule: SeriesRule, labels: Mapping[str, str], statistic: str) -> Slot:
        """A slot for a series that is new, on a page with room; raises ``InvalidRecordError``."""
        needed = needed_bytes(rule, labels, statistic)
        if needed > PAGE_BYTES:
            raise InvalidRecordError(
                f"rule {rule.settings.name!r} watches a series of {statistic!r} whose labels are too long to be "
                f"remembered: some {needed} bytes; at most {PAGE_BYTES}"
            )
        page = next((page for page in self.pages if page.room >= needed), None)
        if page is None:
            taken = {page.name for page in self.pages}
            number = next(n for n in range(len(self.pages) + 1) if self.page_name(n) not in taken)
            page = Page(self, self.page_name(number))
            self.pages.append(page)
        slot = Slot(rule, labels, statistic, page, Memory())
        self.slots[key] = slot
        page.put(key, slot)
        return slot

    def remove(self, key: SlotKey) -> Page | None:
        """Forget a series; the page it was on."""
        slot = self.slots.pop(key, None)
        if slot is None:
            return None
        slot.page.take_out(key)
        if not slot.page.slots:
            self.pages.remove(slot.page)
        self.found.clear()
        return slot.page

    def page_name(self, number: int) -> str:
        """Name of a page in the changelog."""
        return "/".join((*self.ids[1:], str(number)))

    def load(
        self, name: str, body: PageBody, rules: Mapping[str, SeriesRule]
    ) -> tuple[Page, list[tuple[Seen, Memory]]]:
        """Take a stored page; series of rules that are gone are left out and returned."""
        page = Page(self, name)
        self.pages.append(page)
        self.applied = body.applied
        left = []
        for form, labels, statistic, model_id, memory in body.slots:
            rule = rules.get(form)
            if rule is None:
                left.append((Seen(self.ids, form, labels, statistic, model_id), Memory.from_json(memory)))
                continue
            slot = Slot(rule, labels, statistic, page, Memory.from_json(memory))
            slot.model_id = model_id
            key = slot_key(rule, model_id, labels)
            self.slots[key] = slot
            page.put(key, slot)
        return page, left

    def of_rules_gone(self, forms: Iterable[str]) -> list[SlotKey]:
        """Series whose rules are none of ``forms``."""
        kept = set(forms)
        return [key for key in self.slots if key[0] not in kept]
