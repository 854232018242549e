"""The ClickHouse contract: migrations, and the queries on it."""
