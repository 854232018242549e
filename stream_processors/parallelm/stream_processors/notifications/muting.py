"""What is muted: by a silence, or by another alert that inhibits it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parallelm.definitions.matchers import Matcher, all_match

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from parallelm.definitions.notifications.forms import InhibitForm
    from parallelm.schemas.records import Silence
    from parallelm.stream_processors.notifications.items import Item


@dataclass(frozen=True, slots=True)
class Silenced:
    """A silence, ready to be matched."""

    silence_id: str
    matchers: tuple[Matcher, ...]
    starts_at_ms: int
    ends_at_ms: int

    @classmethod
    def of(cls, silence: Silence) -> Silenced:
        """From its record."""
        matchers = tuple(Matcher(each.label, each.operator, each.value) for each in silence.matchers)
        return cls(silence.silence_id, matchers, silence.starts_at_ms, silence.ends_at_ms)

    def mutes(self, labels: Mapping[str, str], now_ms: int) -> bool:
        """Whether it mutes these labels at that time. One without matchers mutes nothing."""
        return (
            self.starts_at_ms <= now_ms < self.ends_at_ms
            and bool(self.matchers)
            and all_match(self.matchers, labels)
        )


class Muting:
    """Silences and inhibition for one pass over groups.

    ``clock_ms`` is the time at which messages leave: after downtime it is later than the time of what is decided, and a
    silence that holds then counts as well.
    """

    def __init__(
        self,
        firing: Iterable[Item],
        inhibit: Sequence[InhibitForm],
        silences: Sequence[Silenced],
        clock_ms: int,
    ) -> None:
        self._silences = silences
        self._clock_ms = clock_ms
        sources = list(firing) if inhibit else []
        self._inhibit = [(rule, *_sources(rule, sources)) for rule in inhibit]

    def mutes(self, item: Item, now_ms: int) -> bool:
        """Whether nobody is told of the item now."""
        return self._is_silenced(item, now_ms) or self._is_inhibited(item)

    def _is_silenced(self, item: Item, now_ms: int) -> bool:
        return any(
            silence.mutes(item.labels, now_ms) or silence.mutes(item.labels, self._clock_ms)
            for silence in self._silences
        )

    def _is_inhibited(self, item: Item) -> bool:
        for rule, sources, pure_sources in self._inhibit:
            if not all_match(rule.target, item.labels):
                continue
            # As in Alertmanager: what matches both sides is not inhibited by what does so, too, itself included.
            among = pure_sources if all_match(rule.source, item.labels) else sources
            if _values(rule, item) in among:
                return True
        return False


def _sources(rule: InhibitForm, firing: Sequence[Item]) -> tuple[set[tuple[str, ...]], set[tuple[str, ...]]]:
    """Values of ``equal`` of what fires and inhibits: of all sources, and of those that are no targets themselves."""
    sources = [item for item in firing if item.section == "alerts" and all_match(rule.source, item.labels)]
    pure = (item for item in sources if not all_match(rule.target, item.labels))
    return {_values(rule, item) for item in sources}, {_values(rule, item) for item in pure}


def _values(rule: InhibitForm, item: Item) -> tuple[str, ...]:
    return tuple(item.labels.get(name, "") for name in rule.equal)
