"""A ClickHouse client that cannot write: its queries carry ``readonly = 2``, which the server enforces."""

from __future__ import annotations

from typing import Any

from clickhouse_driver import Client


class ReadingClient(Client):  # type: ignore[misc]  # clickhouse_driver has no types
    """For settings with ``read_only``. A user whose own profile is read-only takes no such setting and needs none."""

    _readonly: dict[str, int] | None = None

    def establish_connection(self, settings: dict[str, Any] | None) -> None:
        """Called before each query, with its settings."""
        if self._readonly is None:
            self._readonly = {}  # while it asks
            try:
                ((own,),) = self.execute("SELECT getSetting('readonly')")
            except BaseException:
                self._readonly = None
                raise
            self._readonly = {} if own else {"readonly": 2}
        super().establish_connection({**(settings or {}), **self._readonly})
