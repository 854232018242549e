"""The folder or bucket of captures: of each a file and, beside it, its record."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import quote, unquote

from parallelm.connections import ConfigurationError
from parallelm.connections.artifacts import (
    artifacts_url,
    cause_to_show,
    filesystem,
    public_artifacts_url,
    store_error,
)
from parallelm.operations.captures.record import CaptureRecord, CaptureState, parse_record
from parallelm.operations.errors import CaptureError, UnknownCaptureError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from parallelm.connections import ArtifactSettings, Settings

    _T = TypeVar("_T")

_FOLDER = "captures"
_RECORD, _PROGRESS, _FILE = ".json", ".progress", ".tar"
_TRIES = 3
_TRY_S = 0.1


def store_settings(settings: Settings) -> ArtifactSettings:
    """How to reach the store: as the artifact store, at a URL of its own or in its folder ``captures``."""
    url = settings.captures.url or f"{artifacts_url(settings.artifacts).rstrip('/')}/{_FOLDER}"
    return dataclasses.replace(settings.artifacts, url=url)


class CaptureStore:
    """Captures by MLApp and id. Raises ``CaptureError`` when the store does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._settings = store_settings(settings)
        self.url = public_artifacts_url(self._settings)
        self._files, root = self._asked(lambda: filesystem(self._settings))
        self._root = root.rstrip("/")

    def write(self, record: CaptureRecord) -> None:
        """Write a record; a reader sees the old one or the new one."""
        self._write(record, _RECORD)

    def write_progress(self, record: CaptureRecord) -> None:
        """Write how far a capture is, beside its record: so a record that was deleted does not come back."""
        self._write(record, _PROGRESS)

    def _write(self, record: CaptureRecord, suffix: str) -> None:
        path, data = self._path(record, suffix), record.to_json().encode()

        def written() -> None:
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            if "file" in self._protocols():
                self._files.pipe_file(f"{path}.part", data)
                Path(f"{path}.part").replace(path)
            else:
                self._files.pipe_file(path, data)

        self._asked(written)

    def exists(self, record: CaptureRecord) -> bool:
        """Whether the record is there: a capture that is deleted while it is made has none."""
        return self._asked(lambda: bool(self._files.exists(self._path(record, _RECORD))))

    def open_to_write(self, record: CaptureRecord) -> IO[bytes]:
        """The file of a capture."""
        return self._asked(lambda: cast("IO[bytes]", self._files.open(self._path(record, _FILE), "wb")))

    def open_to_read(self, record: CaptureRecord) -> IO[bytes]:
        """As above."""
        return self._asked(lambda: cast("IO[bytes]", self._files.open(self._path(record, _FILE), "rb")))

    def delete(self, record: CaptureRecord) -> None:
        """Remove the record, and then the rest; what is gone already is no error."""
        for suffix in (_RECORD, _PROGRESS, _FILE):
            self._remove(self._path(record, suffix))

    def delete_all(self, mlapp_id: str) -> None:
        """Remove all of an MLApp, also files whose records are gone."""
        for record in self.records(mlapp_id):
            self.delete(record)
        folder = f"{self._root}/{_part(mlapp_id)}"
        self._asked(
            lambda: self._files.rm(folder, recursive=True) if self._files.exists(folder) else None,
            FileNotFoundError,
        )

    def delete_file(self, record: CaptureRecord) -> None:
        """Remove what was written of a file that did not become whole."""
        self._remove(self._path(record, _FILE))

    def delete_progress(self, record: CaptureRecord) -> None:
        """Remove what says how far it is."""
        self._remove(self._path(record, _PROGRESS))

    def records(self, mlapp_id: str | None = None) -> list[CaptureRecord]:
        """All records, or those of an MLApp, the latest first."""
        found = [self._read(path) for path in self._paths(mlapp_id)]
        known = [each for each in found if each is not None]
        return sorted(known, key=lambda each: (each.created_at_ms, each.capture_id), reverse=True)

    def find(self, beginning: str) -> CaptureRecord:
        """The record whose id begins so; raises ``UnknownCaptureError`` for none or several."""
        paths = [path for path in self._paths(None) if _id_of(path).startswith(beginning)]
        if len(paths) == 1 and (record := self._read(paths[0])) is not None:
            return record
        raise UnknownCaptureError(
            f"{len(paths) or 'no'} captures have an id that begins with {beginning!r}; `mcenter captures list` shows them"
        )

    def _remove(self, path: str) -> None:
        self._asked(lambda: self._files.rm(path) if self._files.exists(path) else None, FileNotFoundError)

    def _paths(self, mlapp_id: str | None) -> Iterator[str]:
        folder = self._root if mlapp_id is None else f"{self._root}/{_part(mlapp_id)}"
        found: list[str] = self._asked(
            lambda: self._files.find(folder) if self._files.exists(folder) else [], FileNotFoundError, []
        )
        return (path for path in found if path.endswith(_RECORD))

    def _read(self, path: str) -> CaptureRecord | None:
        """None when it was deleted meanwhile."""
        record = self._parsed(path)
        if record is None or record.state is not CaptureState.IN_PROGRESS:
            return record
        return self._parsed(f"{path.removesuffix(_RECORD)}{_PROGRESS}") or record

    def _parsed(self, path: str) -> CaptureRecord | None:
        reason = ""
        for _ in range(_TRIES):
            data = self._asked(lambda: self._files.cat_file(path), FileNotFoundError, None)
            if data is None:
                return None
            try:
                return parse_record(data.decode())
            except ValueError as error:
                reason = str(error)
                time.sleep(_TRY_S)
        raise CaptureError(f"{path} cannot be read: {reason}; delete it")

    def _path(self, record: CaptureRecord, suffix: str) -> str:
        return f"{self._root}/{_part(record.mlapp_id)}/{record.capture_id}{suffix}"

    def _protocols(self) -> tuple[str, ...]:
        given = self._files.protocol
        return (given,) if isinstance(given, str) else tuple(given)

    def _asked(
        self, call: Callable[[], _T], unless: type[Exception] | tuple[()] = (), other: Any = None
    ) -> _T:
        """The store's answer, or ``other`` when it raises ``unless``; raises ``CaptureError`` without secrets."""
        try:
            return call()
        except unless:
            return cast("_T", other)
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001 - a store raises whatever its library does
            raise CaptureError(
                f"the store of captures at {self.url}: {store_error(self._settings, error) or type(error).__name__}"
            ) from cause_to_show(self._settings, error)


def _part(mlapp_id: str) -> str:
    """Name of an MLApp's folder."""
    return quote(mlapp_id, safe=" -_+=@").replace(".", "%2E") or "%00"


def _id_of(path: str) -> str:
    return unquote(path.rpartition("/")[2].removesuffix(_RECORD))
