-- Records that could not be handled. A record that fails again after a restart is still one row in the view.

CREATE TABLE IF NOT EXISTS dead_letters_log ${on_cluster}
(
    source_topic LowCardinality(String) COMMENT 'Topic that the record came from.',
    topic_id LowCardinality(String) COMMENT 'Kafka topic id of the source; empty when unknown.',
    source_partition Int64 COMMENT 'Partition that it came from.',
    source_offset Int64 COMMENT 'Offset that it had there.',
    stage LowCardinality(String) COMMENT 'Where it failed: decode, validate, insert, rules, policy, …',
    failed_at DateTime64(3, 'UTC') COMMENT 'Clock of the process that could not handle it.',
    error_type LowCardinality(String) COMMENT 'Kind of error.',
    error String COMMENT 'What was wrong and with which value.',
    consumer_group LowCardinality(String) COMMENT 'Consumer group that could not handle it.',
    size_bytes UInt64 COMMENT 'Bytes of key and value together, as they were on the topic.',
    is_cut Bool COMMENT 'Whether only the first bytes of key and value are here, since the record was too large.',
    key Nullable(String) COMMENT 'Original key.',
    value Nullable(String) COMMENT 'Original bytes; NULL for a tombstone.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    _earliness UInt64 MATERIALIZED bitNot(toUInt64(_offset)) COMMENT 'Of several records with the same id, makes the first one stay.',
    INDEX failed_at_range failed_at TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(_earliness)
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (source_topic, topic_id, source_partition, source_offset, stage, consumer_group)
TTL toDateTime(ingested_at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, ${insert_settings}
COMMENT 'Dead letters as they were written: read the view dead_letters.';

CREATE VIEW IF NOT EXISTS dead_letters ${on_cluster}
(
    letter_id String COMMENT 'Id: of source, stage and consumer group.',
    state LowCardinality(String) COMMENT 'open, replayed (sent again) or dropped (given up on by a person).',
    resolved_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was sent again or dropped; NULL while it is open.',
    who LowCardinality(String) COMMENT 'Who did so; empty while it is open.',
    comment String COMMENT 'Why; may be empty.',
    source_topic LowCardinality(String) COMMENT 'Topic that the record came from.',
    topic_id LowCardinality(String) COMMENT 'Kafka topic id of the source; empty when unknown.',
    source_partition Int64 COMMENT 'Partition that it came from.',
    source_offset Int64 COMMENT 'Offset that it had there.',
    stage LowCardinality(String) COMMENT 'Where it failed: decode, validate, insert, rules, policy, …',
    failed_at DateTime64(3, 'UTC') COMMENT 'Clock of the process that could not handle it.',
    error_type LowCardinality(String) COMMENT 'Kind of error.',
    error String COMMENT 'What was wrong and with which value.',
    consumer_group LowCardinality(String) COMMENT 'Consumer group that could not handle it.',
    size_bytes UInt64 COMMENT 'Bytes of key and value together, as they were on the topic.',
    is_cut Bool COMMENT 'Whether only the first bytes of key and value are here, since the record was too large.',
    key Nullable(String) COMMENT 'Original key.',
    value Nullable(String) COMMENT 'Original bytes; NULL for a tombstone.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).',
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.'
)
AS SELECT
    lower(hex(sipHash64(source_topic, topic_id, source_partition, source_offset, stage, consumer_group))) AS letter_id,
    multiIf(answer.given = 'replay_dead_letter', 'replayed', answer.given = 'drop_dead_letter', 'dropped', 'open') AS state,
    if(answer.given = '', NULL, answer.at) AS resolved_at,
    answer.who AS who,
    answer.comment AS comment,
    source_topic,
    topic_id,
    source_partition,
    source_offset,
    stage,
    failed_at,
    error_type,
    error,
    consumer_group,
    size_bytes,
    is_cut,
    key,
    value,
    ingested_at,
    _topic,
    _topic_id,
    _partition,
    _offset
FROM dead_letters_log FINAL
LEFT JOIN
(
    SELECT
        target,
        argMin(actions.action, (event_time, _partition, _offset)) AS given,
        min(event_time) AS at,
        argMin(actions.who, (event_time, _partition, _offset)) AS who,
        argMin(actions.comment, (event_time, _partition, _offset)) AS comment
    FROM actions
    WHERE actions.action IN ('replay_dead_letter', 'drop_dead_letter')
    GROUP BY target
) AS answer ON answer.target = letter_id
COMMENT 'Records that could not be handled: one row a record, stage and consumer, with its bytes, the reason and what became of it.';
