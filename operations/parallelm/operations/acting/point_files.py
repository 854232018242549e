"""A file with points in a call of the API: the file as it is, and what its sender says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from parallelm.operations.acting.server_client import ServerClient
    from parallelm.operations.kpis import PointsFile

_SAID: Final = (
    "delimiter", "decimal", "thousands", "date_format", "unit", "timezone", "ambiguous", "nonexistent", "encoding",
    "allow_future",
)  # fmt: skip
_LONGEST_NAME: Final = 500
_UPLOAD_S: Final = 600.0


def send_file(server: ServerClient, path: str, file: PointsFile, **more: Any) -> Any:
    """The server's answer; it reads the file by the same words. ``more`` are parameters that only some files have."""
    said = {name: file.said[name] for name in _SAID if file.said.get(name)}
    columns = [f"{name}={column}" for name, column in file.said.get("columns", {}).items()]
    params = {
        **said,
        "column": columns,
        "skip_bad": file.skip_bad,
        "source": file.name[:_LONGEST_NAME],
        **more,
    }
    return server.post(
        path,
        params={name: value for name, value in params.items() if value},
        content=file.data,
        headers={"Content-Type": "text/csv"},
        answer_s=_UPLOAD_S,
    )
