"""Sign in at a server: a token for the commands of this machine, kept beside the settings."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from parallelm.connections import ServerSettings, Settings, save_settings
from parallelm.operations.acting.calls import path_of
from parallelm.operations.acting.server_client import ServerClient

if TYPE_CHECKING:
    from pathlib import Path

_TOKEN_DAYS: Final = 90


def make_token(server: ServerSettings, name: str, password: str) -> str:
    """A token that acts in somebody's name for 90 days; raises as ``ServerClient``."""
    wanted = {"name": f"mcenter on {socket.gethostname()}"[:100], "valid_days": _TOKEN_DAYS}
    proof = {"user": name, "password": password}
    return str(ServerClient(server).post_open(path_of("tokens"), json=proof | wanted)["token"])


def account_of(server: ServerSettings) -> str:
    """Whose token it is; raises as ``ServerClient``."""
    return str(ServerClient(server).get(path_of("me"))["name"])


def remember(server: ServerSettings, file: Path) -> None:
    """Keep address and token in a file that only its owner reads."""
    save_settings(Settings(server=server), file)
