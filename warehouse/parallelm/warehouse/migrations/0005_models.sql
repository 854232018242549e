-- Announcements of models. A model announced again after a restart is one row in the view.

CREATE TABLE IF NOT EXISTS models_log ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Pipeline instance; empty when unknown.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    producer_id LowCardinality(String) COMMENT 'Process that reported it.',
    seq Int64 COMMENT 'Number of the record among those of its producer_id, from 0, without gaps.',
    event_time DateTime64(3, 'UTC') COMMENT 'Event time.',
    model_id String COMMENT 'Id of the model.',
    name LowCardinality(String) COMMENT 'Name.',
    format LowCardinality(String) COMMENT 'ScikitLearn_3, Onnx, …',
    description String COMMENT 'May be empty.',
    artifact_url String COMMENT 'fsspec URL of the file in the artifact store.',
    file_name String COMMENT 'Name of the published file or directory.',
    is_directory Bool COMMENT 'True when the artifact is a tar.gz of a directory.',
    size_bytes Int64 COMMENT 'Size of the artifact.',
    sha256 String COMMENT 'SHA-256 of the artifact, hexadecimal.',
    annotations Map(LowCardinality(String), String) COMMENT 'User annotations; values are JSON.',
    owner LowCardinality(String) COMMENT 'Who owns it; may be empty.',
    train_version String COMMENT 'May be empty.',
    model_version String COMMENT 'May be empty.',
    signature String COMMENT 'Signature of file and identity, with its public key; empty when it is not signed.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    _earliness UInt64 MATERIALIZED bitNot(toUInt64(_offset)) COMMENT 'Of several records with the same id, makes the first one stay.',
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(_earliness)
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (mlapp_id, model_id)
SETTINGS ${insert_settings}
COMMENT 'Announcements of models as they were written: read the view models.';

CREATE VIEW IF NOT EXISTS models ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Pipeline instance; empty when unknown.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    producer_id LowCardinality(String) COMMENT 'Process that reported it.',
    seq Int64 COMMENT 'Number of the record among those of its producer_id, from 0, without gaps.',
    event_time DateTime64(3, 'UTC') COMMENT 'Event time.',
    model_id String COMMENT 'Id of the model.',
    name LowCardinality(String) COMMENT 'Name.',
    format LowCardinality(String) COMMENT 'ScikitLearn_3, Onnx, …',
    description String COMMENT 'May be empty.',
    artifact_url String COMMENT 'fsspec URL of the file in the artifact store.',
    file_name String COMMENT 'Name of the published file or directory.',
    is_directory Bool COMMENT 'True when the artifact is a tar.gz of a directory.',
    size_bytes Int64 COMMENT 'Size of the artifact.',
    sha256 String COMMENT 'SHA-256 of the artifact, hexadecimal.',
    annotations Map(LowCardinality(String), String) COMMENT 'User annotations; values are JSON.',
    owner LowCardinality(String) COMMENT 'Who owns it; may be empty.',
    train_version String COMMENT 'May be empty.',
    model_version String COMMENT 'May be empty.',
    signature String COMMENT 'Signature of file and identity, with its public key; empty when it is not signed.',
    signed_by String COMMENT 'Id of the key that its signature names; empty when it is not signed. Whether the signature fits, and the key is trusted, is checked by policies and downloads.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).',
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.'
)
AS SELECT
    mlapp_id,
    node_id,
    pipeline_instance_id,
    agent_id,
    producer_id,
    seq,
    event_time,
    model_id,
    name,
    format,
    description,
    artifact_url,
    file_name,
    is_directory,
    size_bytes,
    sha256,
    annotations,
    owner,
    train_version,
    model_version,
    signature,
    if(signature = '', '', lower(substring(hex(SHA256(tryBase64Decode(splitByChar(':', signature)[2]))), 1, 32))) AS signed_by,
    ingested_at,
    _topic,
    _topic_id,
    _partition,
    _offset
FROM models_log FINAL
COMMENT 'Models: one row a model, with its origin and where its file is stored.';
