"""The delivery policy: what happens to reports while the broker, or anything else on the way, is unavailable.

====================================  ==========================================  ==========================================
Situation                             What is stored, where, up to which bound    What is lost, and how it is reported
====================================  ==========================================  ==========================================
Broker away, program runs             Encoded records in librdkafka's queue       What comes after both are full: counted as
                                      (``queue_max_kbytes``), then samples in     ``queue_full``
                                      ours (``queue_max_samples``), other
                                      records (``MAX_WAITING_RECORDS``,
                                      ``MAX_WAITING_BYTES``)
Broker is back                        All of that is sent, in order               Nothing more. Counts of drops are sent as
                                                                                  statistic ``mcenter.dropped``
``done()`` or exit, nothing can be    Published models in the outbox, records in  The rest, after ``close_timeout_s`` without
delivered                             the spool                                   a delivery: counted as ``closed``
``done()`` interrupted (Ctrl-C)       Everything: the sender goes on, and the     What the exit hook cannot send either:
                                      exit hook or the next ``init()`` waits      counted as ``closed``
Schema registry away, or a schema is  As with the broker away, but not encoded:   As with the broker away
not registered                        in our queues
Topic missing (wrong prefix)          In librdkafka's queue for 30 s              Then the records: ``not_delivered``
Client cannot be made (TLS file,      In our queues; tried again every            As with the broker away
empty address)                        ``RETRY_S``
Broker refuses a record               Nothing                                     That record: ``not_delivered``
Record above 1 MB, or not as its      Nothing                                     That record: ``too_large``,
schema wants it                                                                   ``not_encoded``
Artifact store away or misconfigured  Models in the outbox, unbounded but by the  Nothing: the next ``init()`` sends them
                                      disk
Spool full or not writable            As without a spool                          As without a spool
Worker of a pool ends, or gets        As with ``done()``                          As with ``done()``
SIGTERM without a handler
``os._exit``, SIGKILL                 The outbox and the spool                    What was not sent yet; it cannot be counted
====================================  ==========================================  ==========================================

Every drop is logged with what it was, its size and the reason, at most once in 20 s (``RateLimit``) and at the end.
``Obstacles`` knows the reason; ``Patience`` knows how long ``done()`` waits.
"""

from __future__ import annotations

import time
from typing import Final

MAX_WAITING_RECORDS: Final = 10_000
MAX_WAITING_BYTES: Final = 256 << 20
"""Room for a burst of tables and histograms, and the memory that a long outage may take from the host program."""

RETRY_S: Final = 1.0
"""Pause before another attempt after an error."""
DROP_REPORT_INTERVAL_S: Final = 1.0
POLL_S: Final = 0.05

FIRST_UPLOAD_RETRY_S: Final = 0.5
LONGEST_UPLOAD_RETRY_S: Final = 30.0

PRODUCER: Final = {
    "enable_idempotence": True,
    "compression_type": "lz4",
    "partitioner": "murmur2_random",  # as Faust and the Java client hash keys
    "message_timeout_ms": 0,  # nothing expires while the queue holds
    "topic_metadata_propagation_max_ms": 30_000,  # so long may a topic be missing
    "reconnect_backoff_max_ms": 2_000,
}
"""Settings of librdkafka that never change; the bounds come from ``ComponentSettings``."""


class Patience:
    """How long ``done()`` waits: until nothing was delivered for ``patience_s``, and at most ``longest_s`` in total.

    The first answer of a broker restarts ``patience_s``.
    """

    def __init__(self, patience_s: float, longest_s: float) -> None:
        self._began = time.monotonic()
        self.total_s = patience_s
        self._longest_s = max(longest_s, patience_s)

    def left_s(self, last_progress: float) -> float:
        """Seconds left, 0 or less when time is up; ``last_progress`` is a time of the monotonic clock."""
        now = time.monotonic()
        return min(max(last_progress, self._began) + self.total_s - now, self._began + self._longest_s - now)
