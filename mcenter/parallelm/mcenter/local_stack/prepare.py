"""The step between the stores and the services: creates the topics and migrates the warehouse, both at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from parallelm.connections import load_settings


def main() -> None:
    """Prepare what the settings name; every step may be repeated."""
    from parallelm.schemas.topic_admin import create_topics
    from parallelm.warehouse import migrate

    settings = load_settings()
    with ThreadPoolExecutor() as pool:
        topics, tables = pool.submit(create_topics, settings), pool.submit(migrate, settings)
        topics.result()
        tables.result()


if __name__ == "__main__":
    main()
