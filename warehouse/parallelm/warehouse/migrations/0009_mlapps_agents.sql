-- MLApps and agents: every version, and the current one. A tombstone is a row.

CREATE TABLE IF NOT EXISTS mlapps ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    event_time DateTime64(3, 'UTC') COMMENT 'When it was applied; for a tombstone, when Kafka took it.',
    is_deleted Bool COMMENT 'True for a tombstone: the MLApp was removed; everything but its id and times is empty.',
    name String COMMENT 'Name.',
    description String COMMENT 'May be empty.',
    version Int64 COMMENT 'Counts up from 1 with each change.',
    applied_by LowCardinality(String) COMMENT 'Who applied it.',
    model_policy LowCardinality(String) COMMENT 'always_update, manual or canary.',
    health_threshold Float64 COMMENT 'Similarity score below which a feature is unhealthy.',
    canary_threshold Float64 COMMENT 'RMSE above which a canary is unhealthy; -1 when unset.',
    accept_timeout_ms Int64 COMMENT 'Milliseconds within which a deployment must be accepted; 0: no limit.',
    `nodes.node_id` Array(String) COMMENT 'Ids of its nodes.',
    `nodes.name` Array(String) COMMENT 'Their names.',
    `nodes.type` Array(String) COMMENT 'Their types: model_producer, model_consumer, …',
    `nodes.mode` Array(String) COMMENT 'offline or online.',
    `nodes.schedule` Array(String) COMMENT 'cron expressions; empty when none.',
    `nodes.pipeline` Array(String) COMMENT 'Their pipelines.',
    `nodes.parents` Array(Array(String)) COMMENT 'Ids of the nodes that each follows.',
    `nodes.consumes` Array(Array(String)) COMMENT 'Ids of the nodes whose models each consumes; empty: every producer.',
    `nodes.running_json` Array(String) COMMENT 'How agents run each, as JSON; {} when somebody else starts it.',
    `rules.name` Array(String) COMMENT 'Names of its alert rules.',
    `rules.type` Array(String) COMMENT 'Their types: threshold, health, …',
    `rules.statistic` Array(String) COMMENT 'Statistic that each watches.',
    `rules.node_id` Array(String) COMMENT 'Node that each is limited to; empty: any.',
    `rules.for_ms` Array(Int64) COMMENT 'How long each must be breached before it fires.',
    `rules.severity` Array(String) COMMENT 'Severity of each.',
    `rules.parameters_json` Array(String) COMMENT 'Settings of each as JSON.',
    source_yaml String COMMENT 'Text of the applied file.',
    stage LowCardinality(String) COMMENT 'production or sandbox; empty for a tombstone.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (mlapp_id, event_time)
SETTINGS ${insert_settings}
COMMENT 'Definitions of MLApps: one row a version. The view mlapps_current has the current one.';

CREATE VIEW IF NOT EXISTS mlapps_current ${on_cluster}
(
    `mlapp_id` LowCardinality(String) COMMENT 'MLApp.',
    `event_time` DateTime64(3, 'UTC') COMMENT 'When it was applied; for a tombstone, when Kafka took it.',
    `name` String COMMENT 'Name.',
    `description` String COMMENT 'May be empty.',
    `version` Int64 COMMENT 'Counts up from 1 with each change.',
    `applied_by` LowCardinality(String) COMMENT 'Who applied it.',
    `model_policy` LowCardinality(String) COMMENT 'always_update, manual or canary.',
    `health_threshold` Float64 COMMENT 'Similarity score below which a feature is unhealthy.',
    `canary_threshold` Float64 COMMENT 'RMSE above which a canary is unhealthy; -1 when unset.',
    `accept_timeout_ms` Int64 COMMENT 'Milliseconds within which a deployment must be accepted; 0: no limit.',
    `nodes.node_id` Array(String) COMMENT 'Ids of its nodes.',
    `nodes.name` Array(String) COMMENT 'Their names.',
    `nodes.type` Array(String) COMMENT 'Their types: model_producer, model_consumer, …',
    `nodes.mode` Array(String) COMMENT 'offline or online.',
    `nodes.schedule` Array(String) COMMENT 'cron expressions; empty when none.',
    `nodes.pipeline` Array(String) COMMENT 'Their pipelines.',
    `nodes.parents` Array(Array(String)) COMMENT 'Ids of the nodes that each follows.',
    `nodes.consumes` Array(Array(String)) COMMENT 'Ids of the nodes whose models each consumes; empty: every producer.',
    `nodes.running_json` Array(String) COMMENT 'How agents run each, as JSON; {} when somebody else starts it.',
    `rules.name` Array(String) COMMENT 'Names of its alert rules.',
    `rules.type` Array(String) COMMENT 'Their types: threshold, health, …',
    `rules.statistic` Array(String) COMMENT 'Statistic that each watches.',
    `rules.node_id` Array(String) COMMENT 'Node that each is limited to; empty: any.',
    `rules.for_ms` Array(Int64) COMMENT 'How long each must be breached before it fires.',
    `rules.severity` Array(String) COMMENT 'Severity of each.',
    `rules.parameters_json` Array(String) COMMENT 'Settings of each as JSON.',
    `source_yaml` String COMMENT 'Text of the applied file.',
    `stage` LowCardinality(String) COMMENT 'production or sandbox.',
    `ingested_at` DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).'
)
AS SELECT
    mlapp_id,
    event_time,
    name,
    description,
    version,
    applied_by,
    model_policy,
    health_threshold,
    canary_threshold,
    accept_timeout_ms,
    nodes.node_id,
    nodes.name,
    nodes.type,
    nodes.mode,
    nodes.schedule,
    nodes.pipeline,
    nodes.parents,
    nodes.consumes,
    nodes.running_json,
    rules.name,
    rules.type,
    rules.statistic,
    rules.node_id,
    rules.for_ms,
    rules.severity,
    rules.parameters_json,
    source_yaml,
    stage,
    ingested_at
FROM (SELECT * FROM mlapps ORDER BY ingested_at DESC, _offset DESC LIMIT 1 BY mlapp_id)
WHERE NOT is_deleted
COMMENT 'Current definition of each MLApp; removed MLApps are absent.';

CREATE TABLE IF NOT EXISTS agents ${on_cluster}
(
    agent_id LowCardinality(String) COMMENT 'Agent.',
    event_time DateTime64(3, 'UTC') COMMENT 'When it reported; for a tombstone, when Kafka took it.',
    is_deleted Bool COMMENT 'True for a tombstone: the agent was removed; everything but its id and times is empty.',
    hostname String COMMENT 'Host.',
    version LowCardinality(String) COMMENT 'Version of the agent.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels of the host.',
    `pipelines.mlapp_id` Array(String) COMMENT 'MLApp of each pipeline on it.',
    `pipelines.node_id` Array(String) COMMENT 'Node of each.',
    `pipelines.pipeline_instance_id` Array(String) COMMENT 'Instance id of each.',
    `pipelines.state` Array(String) COMMENT 'starting, running, finished, failed or stopped.',
    `pipelines.pid` Array(Int64) COMMENT 'Process id of each; 0 when none.',
    `pipelines.since` Array(DateTime64(3, 'UTC')) COMMENT 'When each entered its state.',
    `pipelines.message` Array(String) COMMENT 'Detail of each; may be empty.',
    `pipelines.run_id` Array(String) COMMENT 'Run of each; empty when none.',
    `pipelines.attempt` Array(Int64) COMMENT 'Attempt of each run, from 1; 0 when none.',
    state LowCardinality(String) COMMENT 'ready, draining, drained or ended.',
    epoch Int64 COMMENT 'Counts up whenever another installation takes the name.',
    installation_id String COMMENT 'Names the data folder of the agent.',
    address String COMMENT 'Where programs on the host are reached; may be empty.',
    cpus Float64 COMMENT 'CPUs that pipelines may use.',
    memory_bytes Int64 COMMENT 'Memory that pipelines may use.',
    runners Array(String) COMMENT 'What it can run pipelines with: process, kubernetes.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (agent_id, event_time)
TTL toDateTime(ingested_at) + INTERVAL 365 DAY
SETTINGS ttl_only_drop_parts = 1, ${insert_settings}
COMMENT 'States of host agents: one row a report. The view agents_current has the latest.';

CREATE VIEW IF NOT EXISTS agents_current ${on_cluster}
(
    `agent_id` LowCardinality(String) COMMENT 'Agent.',
    `event_time` DateTime64(3, 'UTC') COMMENT 'When it reported; for a tombstone, when Kafka took it.',
    `hostname` String COMMENT 'Host.',
    `version` LowCardinality(String) COMMENT 'Version of the agent.',
    `labels` Map(LowCardinality(String), String) COMMENT 'Labels of the host.',
    `pipelines.mlapp_id` Array(String) COMMENT 'MLApp of each pipeline on it.',
    `pipelines.node_id` Array(String) COMMENT 'Node of each.',
    `pipelines.pipeline_instance_id` Array(String) COMMENT 'Instance id of each.',
    `pipelines.state` Array(String) COMMENT 'starting, running, finished, failed or stopped.',
    `pipelines.pid` Array(Int64) COMMENT 'Process id of each; 0 when none.',
    `pipelines.since` Array(DateTime64(3, 'UTC')) COMMENT 'When each entered its state.',
    `pipelines.message` Array(String) COMMENT 'Detail of each; may be empty.',
    `pipelines.run_id` Array(String) COMMENT 'Run of each; empty when none.',
    `pipelines.attempt` Array(Int64) COMMENT 'Attempt of each run, from 1; 0 when none.',
    `state` LowCardinality(String) COMMENT 'ready, draining, drained or ended.',
    `epoch` Int64 COMMENT 'Counts up whenever another installation takes the name.',
    `installation_id` String COMMENT 'Names the data folder of the agent.',
    `address` String COMMENT 'Where programs on the host are reached; may be empty.',
    `cpus` Float64 COMMENT 'CPUs that pipelines may use.',
    `memory_bytes` Int64 COMMENT 'Memory that pipelines may use.',
    `runners` Array(String) COMMENT 'What it can run pipelines with: process, kubernetes.',
    `ingested_at` DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).'
)
AS SELECT
    agent_id,
    event_time,
    hostname,
    version,
    labels,
    pipelines.mlapp_id,
    pipelines.node_id,
    pipelines.pipeline_instance_id,
    pipelines.state,
    pipelines.pid,
    pipelines.since,
    pipelines.message,
    pipelines.run_id,
    pipelines.attempt,
    state,
    epoch,
    installation_id,
    address,
    cpus,
    memory_bytes,
    runners,
    ingested_at
FROM (SELECT * FROM agents ORDER BY ingested_at DESC, _offset DESC LIMIT 1 BY agent_id)
WHERE NOT is_deleted
COMMENT 'Agents by their latest report; removed ones are absent.';
