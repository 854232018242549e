"""What has just happened, pushed to the pages that show it."""

from parallelm.server.live.changes import LiveChanges
from parallelm.server.live.stream import ROUTER, remember_position

__all__ = ["ROUTER", "LiveChanges", "remember_position"]
