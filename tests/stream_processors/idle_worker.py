"""A worker that looks alive and does nothing: what it fetches reaches no shard. ``python -m`` runs it, as ``mcenter``.

With the environment variable ``STUCK_S`` its watchdog is that impatient.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from parallelm.mcenter.main import main
from parallelm.stream_processors.runtime import worker
from parallelm.stream_processors.runtime.shard import Shard


async def forget(_: Shard, __: Any) -> None:
    """Instead of ``Shard.put``."""


if __name__ == "__main__":
    Shard.put = forget  # type: ignore[method-assign]
    worker.STUCK_S = float(os.environ.get("STUCK_S", worker.STUCK_S))
    sys.exit(main())
