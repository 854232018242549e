-- Messages to people about alerts and deployments.

CREATE TABLE IF NOT EXISTS notifications ${on_cluster}
(
    event_time DateTime64(3, 'UTC') COMMENT 'When it came into this state.' CODEC(Delta, ZSTD(1)),
    notification_id String COMMENT 'Unique id; the same in Message-ID and Idempotency-Key, also when it is sent again.',
    state LowCardinality(String) COMMENT 'pending, sent or failed.',
    receiver LowCardinality(String) COMMENT 'Receiver in the notifier''s file.',
    target LowCardinality(String) COMMENT 'Which of its addresses: receiver, kind and number; never the address itself.',
    route LowCardinality(String) COMMENT 'Route of the notifier''s file, as its matchers.',
    group_labels Map(LowCardinality(String), String) COMMENT 'Labels that the group''s members share, by group_by.',
    status LowCardinality(String) COMMENT 'firing, resolved or event.',
    firing Int32 COMMENT 'Members that fire.',
    resolved Int32 COMMENT 'Members that have resolved since the last notification.',
    mlapp_ids Array(LowCardinality(String)) COMMENT 'MLApps of the members.',
    transition_ids Array(String) COMMENT 'Newest transition of each member; see alert_transitions and deployments.',
    title String COMMENT 'Title as sent.',
    body String COMMENT 'Body as sent.',
    created_at DateTime64(3, 'UTC') COMMENT 'When it was decided to send it.' CODEC(Delta, ZSTD(1)),
    attempts Int32 COMMENT 'Attempts to send it so far.',
    error String COMMENT 'Why the last attempt failed, without secrets; may be empty.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (receiver, event_time)
SETTINGS ${insert_settings}
COMMENT 'What was sent to whom: one row a state of a notification.';
