"""Commands of somebody who knows a server and has a token, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from parallelm.mcenter.cli import cli

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

NOWHERE = '[kafka]\nbootstrap_servers = "127.0.0.1:1"\n[clickhouse]\nport = 1\n'
"""Neither brokers nor ClickHouse: what a command does, it does through the server."""


@dataclass(frozen=True)
class Commands:
    """Commands of somebody who knows a server and has a token."""

    folder: Path

    def name(self, url: str, token: str) -> None:
        """Act through this server from now on."""
        text = f'{NOWHERE}[server]\nurl = "{url}"\ntoken = "{token}"\n'
        (self.folder / "mcenter.toml").write_text(text)

    def __call__(self, *arguments: str, exit_code: int = 0, input_: str | None = None) -> str:
        environ = {"MCENTER_CONFIG": str(self.folder / "mcenter.toml")}
        result = CliRunner().invoke(cli, arguments, env=environ, input=input_)
        assert result.exit_code == exit_code, (result.output, result.exception)
        return result.output


def actions(client: httpx.Client, **filters: str) -> list[dict[str, Any]]:
    """Of the audit log, the latest first."""
    return list(client.get("/api/v1/actions", params=filters).json()["items"])
