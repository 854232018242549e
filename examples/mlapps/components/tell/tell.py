"""Add up what the MLApp has predicted in the last hour, and report it as an event."""

from datetime import UTC, datetime, timedelta

from parallelm.mlops import mlops
from parallelm.mlops.predefined_stats import PredefinedStats


def main():
    mlops.init()
    now = datetime.now(UTC)
    total = 0.0
    for agent in mlops.get_agents("sort"):
        found = mlops.get_stats(
            PredefinedStats.PREDICTIONS_COUNT,
            "sort",
            agent.id,
            now - timedelta(hours=1),
            now + timedelta(minutes=1),
        )
        total += found["value"].sum() if len(found) else 0
    mlops.set_event("bottles told apart", type="GenericEvent", data={"in the last hour": total})
    print(f"{total:.0f} bottles in the last hour")
    mlops.done()


if __name__ == "__main__":
    main()
