"""Where models that components have published wait for upload, by the settings or by default."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parallelm.connections.settings import ComponentSettings


def outbox_folder(component: ComponentSettings) -> Path:
    """Folder of a user on this host; it need not be there yet."""
    if component.outbox_folder:
        return Path(component.outbox_folder)
    try:
        return Path.home() / ".mcenter" / "outbox"
    except RuntimeError:  # a container's user without a home
        return Path(tempfile.gettempdir()) / "mcenter-outbox"
