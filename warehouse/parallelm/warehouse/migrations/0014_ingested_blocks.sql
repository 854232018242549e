-- What the sinks have inserted, block by block.

CREATE TABLE IF NOT EXISTS ingested_blocks ${on_cluster}
(
    table_name LowCardinality(String) COMMENT 'Table of its rows.',
    _topic LowCardinality(String) COMMENT 'Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Kafka partition.',
    first_offset Int64 COMMENT 'Offset of its first record.' CODEC(DoubleDelta, ZSTD(1)),
    last_offset Int64 COMMENT 'Offset of its last record; between them are all others of the partition.' CODEC(DoubleDelta, ZSTD(1)),
    records UInt32 COMMENT 'Records read, those that became dead letters included.' CODEC(ZSTD(1)),
    rows UInt32 COMMENT 'Rows that they became.' CODEC(ZSTD(1)),
    dead_letters UInt32 COMMENT 'Records that could not become rows; see dead_letters.' CODEC(ZSTD(1)),
    first_ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the first of its records to arrive.' CODEC(Delta, ZSTD(1)),
    last_ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the last of them.' CODEC(Delta, ZSTD(1)),
    inserted_at DateTime64(3, 'UTC') COMMENT 'When its rows were in the table, by the clock of the sink.' CODEC(Delta, ZSTD(1)),
    delay_ms Int64 COMMENT 'From first_ingested_at to inserted_at: how long the slowest of its records was on its way.' CODEC(ZSTD(1))
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(last_ingested_at)
ORDER BY (_topic, _partition, first_offset)
TTL toDateTime(last_ingested_at) + INTERVAL 30 DAY
SETTINGS merge_selector_base = 10, min_parts_to_merge_at_once = 8, ${insert_settings}, ttl_only_drop_parts = 1
COMMENT 'Log of the sinks: one row a block of records of one topic partition, with what became of them and how late.';
