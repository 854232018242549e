"""Where, beside tables and topics, something of an MLApp lies: each place counts it and erases it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from parallelm.connections.artifacts import artifact_url, filesystem, store_error
from parallelm.connections.errors import ConfigurationError
from parallelm.operations.captures.store import CaptureStore, store_settings
from parallelm.operations.components import STORE_FOLDER
from parallelm.operations.errors import ArtifactStoreError
from parallelm.operations.silences import list_silences
from parallelm.schemas.topic_writer import OutgoingRecord, write_and_confirm
from parallelm.schemas.topics import SILENCES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from parallelm.connections import Settings
    from parallelm.operations.authors import Author
    from parallelm.operations.captures import CaptureRecord
    from parallelm.schemas.records import Silence

_CONFIRM_S: Final = 15.0
_MLAPP_LABEL: Final = "mlapp"


class Place(Protocol):
    """Somewhere. What is gone already is no error: an erasure that was cut short is begun anew."""

    @property
    def what(self) -> str:
        """What is counted, in the plural."""

    def count(self) -> int:
        """How many there are."""

    def erase(self, who: Author) -> int:
        """Erase them; how many that were."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Files of its models in the artifact store.

    The store's folders have simpler names than MLApps may have, and captures and components lie in folders beside them.
    ``others`` are the MLApps that there are beside this one: where something else shares the folder, only models that are known
    to be of this MLApp (``model_ids``) go.
    """

    settings: Settings
    mlapp_id: str
    model_ids: Sequence[str]
    others: Sequence[str]

    @property
    def what(self) -> str:
        """See ``Place``."""
        return "files of models"

    def count(self) -> int:
        """See ``Place``; raises ``ArtifactStoreError``."""
        return self._asked(lambda store, folder: len(store.find(folder)) if store.exists(folder) else 0)

    def erase(self, who: Author) -> int:  # noqa: ARG002 - the record of the erasure says who
        """See ``Place``; raises ``ArtifactStoreError``."""

        def removed(store: Any, folder: str) -> int:
            if not store.exists(folder):
                return 0
            files = len(store.find(folder))
            store.rm(folder, recursive=True)
            return files

        return self._asked(removed)

    def _asked(self, call: Callable[..., int]) -> int:
        artifacts = self.settings.artifacts
        count = 0
        try:
            for url in self._folders():
                try:
                    count += call(*filesystem(artifacts, url))
                except FileNotFoundError:
                    continue
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001 - stores of many kinds raise as they like
            reason = store_error(artifacts, error) or type(error).__name__
            raise ArtifactStoreError(f"the artifact store does not give up its files: {reason}") from None
        return count

    def _folders(self) -> Iterator[str]:
        own = self._folder(self.mlapp_id)
        captures = store_settings(self.settings).url.rstrip("/")
        shared = {*map(self._folder, [*self.others, STORE_FOLDER]), captures}
        if own in shared or captures.startswith(f"{own}/"):
            yield from (self._folder(self.mlapp_id, model_id) for model_id in self.model_ids)
        else:
            yield own

    def _folder(self, mlapp_id: str, model_id: str = "") -> str:
        levels = 1 if model_id else 2
        return artifact_url(self.settings.artifacts, mlapp_id, model_id or "m", "f").rsplit("/", levels)[0]


@dataclass(frozen=True, slots=True)
class Captures:
    """Its timeline captures; one that is being made is given up."""

    settings: Settings
    mlapp_id: str

    @property
    def what(self) -> str:
        """See ``Place``."""
        return "captures"

    def count(self) -> int:
        """See ``Place``; raises ``CaptureError``."""
        return len(CaptureStore(self.settings).records(self.mlapp_id))

    def erase(self, who: Author) -> int:  # noqa: ARG002 - the record of the erasure says who
        """See ``Place``; raises ``CaptureError``."""
        store = CaptureStore(self.settings)
        count = len(store.records(self.mlapp_id))
        store.delete_all(self.mlapp_id)
        return count


@dataclass(frozen=True, slots=True)
class CapturesOfTimes:
    """Whole captures of other selections than an MLApp: those whose times have rows that are meant.

    ``ranges`` are first and last event time of these rows, in milliseconds, by MLApp.
    """

    settings: Settings
    ranges: Mapping[str, tuple[int, int]]

    @property
    def what(self) -> str:
        """See ``Place``."""
        return "captures"

    def count(self) -> int:
        """See ``Place``; raises ``CaptureError``."""
        return len(self._found())

    def erase(self, who: Author) -> int:  # noqa: ARG002 - the record of the erasure says who
        """See ``Place``; raises ``CaptureError``."""
        found, store = self._found(), CaptureStore(self.settings)
        for record in found:
            store.delete(record)
        return len(found)

    def _found(self) -> list[CaptureRecord]:
        return [
            record
            for record in CaptureStore(self.settings).records()
            if (times := self.ranges.get(record.mlapp_id))
            and record.start_ms <= times[1]
            and times[0] < record.end_ms
        ]


@dataclass(frozen=True, slots=True)
class Silences:
    """Silences of its alerts alone."""

    settings: Settings
    mlapp_id: str

    @property
    def what(self) -> str:
        """See ``Place``."""
        return "silences"

    def count(self) -> int:
        """See ``Place``; raises as ``list_silences``."""
        return len(self._own())

    def erase(self, who: Author) -> int:  # noqa: ARG002 - the record of the erasure says who
        """See ``Place``; raises as ``list_silences``, and ``UndeliveredError``."""
        found = self._own()
        topic = SILENCES.full_name(self.settings.kafka.topic_prefix)
        tombstones = [OutgoingRecord(topic, SILENCES.key(each), None) for each in found]
        if tombstones:
            write_and_confirm(self.settings, tombstones, timeout_s=_CONFIRM_S)
        return len(found)

    def _own(self) -> list[Silence]:
        def is_own(silence: Silence) -> bool:
            return any(
                (each.label, each.operator, each.value) == (_MLAPP_LABEL, "=", self.mlapp_id)
                for each in silence.matchers
            )

        return [silence for silence in list_silences(self.settings) if is_own(silence)]
