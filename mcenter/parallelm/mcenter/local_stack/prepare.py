"""The step between the stores and the services: creates the topics and migrates the warehouse, both at once.

A job: a signal ends it with 128 and its number, so that nobody takes an interrupted one for done.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from parallelm.supervision.service_frame import catch_signals


def main() -> None:
    """Prepare what the settings name, which may be repeated; what is refused ends it with 1 and the reason."""
    from parallelm.connections import load_settings
    from parallelm.mcenter.migration import migrate_at_rest
    from parallelm.schemas.errors import SchemaError
    from parallelm.schemas.topic_admin import create_topics
    from parallelm.warehouse import drift
    from parallelm.warehouse.errors import WarehouseError

    settings = load_settings(role="admin")
    with ThreadPoolExecutor() as pool:
        topics, tables = pool.submit(create_topics, settings), pool.submit(migrate_at_rest, settings)
        try:
            topics.result()
            applied = tables.result()
        except (SchemaError, WarehouseError) as error:
            sys.exit(f"{error}")
    if applied:
        print(f"migrations of the warehouse up to {applied[-1].version} ({applied[-1].name}) are applied")  # noqa: T201
    for difference in drift(settings):
        print(difference)  # noqa: T201 - for the log: the stack starts nevertheless


if __name__ == "__main__":
    catch_signals(is_job=True)
    main()
