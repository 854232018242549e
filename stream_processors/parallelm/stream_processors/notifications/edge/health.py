"""What a notifier says of its health: whether its loop runs, and whether what it needs is away."""

from __future__ import annotations

from dataclasses import dataclass

HANGS_S, STALLED_S = 20.0, 30.0
"""It is told after so long."""


@dataclass(slots=True)
class NotifierHealth:
    """Times are monotonic seconds. Asked from another thread than the one that works."""

    ran_at_s: float
    """When its loop has last run."""
    away_since_s: float | None = None
    why: str = ""

    def runs(self, now_s: float) -> None:
        """Its loop runs."""
        self.ran_at_s = now_s

    def works(self) -> None:
        """It sends, or stands by."""
        self.away_since_s = None

    def is_away(self, why: str, now_s: float) -> None:
        """What it needs is away, for this reason; since when is kept."""
        if self.away_since_s is None:
            self.away_since_s = now_s
        self.why = why

    def hangs(self, now_s: float) -> str:
        """What is wrong when its loop does not run; empty when it does."""
        silent_s = now_s - self.ran_at_s
        return f"the notifier's loop has not run for {silent_s:.0f} s" if silent_s > HANGS_S else ""

    def stalls(self, now_s: float) -> str:
        """Why nobody can be told of anything; empty when somebody can, or it has not been so for long."""
        since_s = self.away_since_s
        away_s = 0.0 if since_s is None else now_s - since_s
        return f"nothing can be sent for {away_s:.0f} s: {self.why}" if away_s > STALLED_S else ""
