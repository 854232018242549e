-- Events of components, and the alerts that components raise.

CREATE TABLE IF NOT EXISTS events ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Pipeline instance; empty when unknown.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    producer_id LowCardinality(String) COMMENT 'Process that reported it.',
    seq Int64 COMMENT 'Number of the record among those of its producer_id, from 0, without gaps.',
    event_time DateTime64(3, 'UTC') COMMENT 'Event time.',
    event_id String COMMENT 'Unique id of the event.',
    type LowCardinality(String) COMMENT 'GenericEvent, GenericDataAlert, ModelAccepted, …',
    title String COMMENT 'Short text.',
    description String COMMENT 'Longer text; may be empty.',
    is_alert Bool COMMENT 'True when it enters the alert lifecycle.',
    model_id LowCardinality(String) COMMENT 'Model that it is about; empty when none.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels.',
    content_type LowCardinality(String) COMMENT 'Media type of data.',
    data String COMMENT 'Payload; JSON where possible; may be empty.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (mlapp_id, type, node_id, event_time)
TTL toDateTime(ingested_at) + INTERVAL 1825 DAY
SETTINGS ttl_only_drop_parts = 1, ${insert_settings}
COMMENT 'Events of components: one row an event.';
