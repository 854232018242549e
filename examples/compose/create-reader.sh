#!/bin/sh
# Run once by the ClickHouse image, on an empty data folder: makes the user that people, notebooks and components have.
set -eu
password=$(cat /run/secrets/clickhouse_reader)
clickhouse-client --user "$CLICKHOUSE_USER" --password "$(cat /run/secrets/clickhouse_admin)" --multiquery <<SQL
CREATE USER IF NOT EXISTS reader IDENTIFIED BY '$password' SETTINGS readonly = 2;
GRANT SELECT, SHOW ON mcenter.* TO reader;
GRANT SELECT ON system.tables TO reader;
SQL
