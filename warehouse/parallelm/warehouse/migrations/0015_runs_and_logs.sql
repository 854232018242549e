-- Runs of nodes: every change of their state and one row a run, and the lines that their programs write.

CREATE TABLE IF NOT EXISTS run_transitions_log ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    event_time DateTime64(3, 'UTC') COMMENT 'Event time.' CODEC(Delta, ZSTD(1)),
    decided_at DateTime64(3, 'UTC') COMMENT 'Clock of the deciding process.',
    transition_id String COMMENT 'Deterministic: the same decision always has the same id.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Instance of the node\'s pipeline, the same over all its runs.',
    instance Int64 COMMENT 'Number of the instance among the parallel ones, from 0.',
    run_id String COMMENT 'Run; empty when it is about the MLApp or a node as a whole.',
    attempt Int64 COMMENT 'Attempt, from 1: a retry and a move are new attempts of the same run.',
    state LowCardinality(String) COMMENT 'State after the transition: waiting, assigned, running, unreachable, stopping, succeeded, failed, stopped, missed or lost; of an MLApp or node as a whole also launched, paused, resumed, archived, deleted, and refused, the answer to a person.',
    previous_state LowCardinality(String) COMMENT 'State before it; unknown when it is the first.',
    agent_id LowCardinality(String) COMMENT 'Agent; empty while there is none.',
    reason String COMMENT 'Why, in a sentence.',
    trigger LowCardinality(String) COMMENT 'What made the run due: schedule, parent, model, data, person, launch or service.',
    trigger_id String COMMENT 'Which: the due time in epoch milliseconds, or the id of the run, the model, the event or the action.',
    due_at DateTime64(3, 'UTC') COMMENT 'When it was due; the same in all transitions of a run.' CODEC(Delta, ZSTD(1)),
    definition_version Int64 COMMENT 'Version of the definition that it runs.',
    model_id String COMMENT 'Model that it was started with; may be empty.',
    exit_code Int64 COMMENT 'When it has ended: what the program returned; else 0.',
    starts Int64 COMMENT 'How often its program was started.',
    who LowCardinality(String) COMMENT 'Person who caused it; empty when none did.',
    cause_topic LowCardinality(String) COMMENT 'Topic of the record that caused the decision; empty when none did.',
    cause_partition Int64 COMMENT 'Partition of that record; -1 when none.',
    cause_offset Int64 COMMENT 'Offset of that record; -1 when none.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    _earliness UInt64 MATERIALIZED bitNot(toUInt64(_offset)) COMMENT 'Of several records with the same id, makes the first one stay.',
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1,
    INDEX due_at_range due_at TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree(_earliness)
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (mlapp_id, node_id, run_id, transition_id)
TTL toDateTime(ingested_at) + INTERVAL 730 DAY
SETTINGS ttl_only_drop_parts = 1, ${insert_settings}
COMMENT 'Transitions of runs as they were written: read the view run_transitions.';

CREATE VIEW IF NOT EXISTS run_transitions ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    event_time DateTime64(3, 'UTC') COMMENT 'Event time.',
    decided_at DateTime64(3, 'UTC') COMMENT 'Clock of the deciding process.',
    transition_id String COMMENT 'Deterministic: the same decision always has the same id.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Instance of the node\'s pipeline, the same over all its runs.',
    instance Int64 COMMENT 'Number of the instance among the parallel ones, from 0.',
    run_id String COMMENT 'Run; empty when it is about the MLApp or a node as a whole.',
    attempt Int64 COMMENT 'Attempt, from 1: a retry and a move are new attempts of the same run.',
    state LowCardinality(String) COMMENT 'State after the transition: waiting, assigned, running, unreachable, stopping, succeeded, failed, stopped, missed or lost; of an MLApp or node as a whole also launched, paused, resumed, archived, deleted, and refused, the answer to a person.',
    previous_state LowCardinality(String) COMMENT 'State before it; unknown when it is the first.',
    agent_id LowCardinality(String) COMMENT 'Agent; empty while there is none.',
    reason String COMMENT 'Why, in a sentence.',
    trigger LowCardinality(String) COMMENT 'What made the run due: schedule, parent, model, data, person, launch or service.',
    trigger_id String COMMENT 'Which: the due time in epoch milliseconds, or the id of the run, the model, the event or the action.',
    due_at DateTime64(3, 'UTC') COMMENT 'When it was due; the same in all transitions of a run.',
    definition_version Int64 COMMENT 'Version of the definition that it runs.',
    model_id String COMMENT 'Model that it was started with; may be empty.',
    exit_code Int64 COMMENT 'When it has ended: what the program returned; else 0.',
    starts Int64 COMMENT 'How often its program was started.',
    who LowCardinality(String) COMMENT 'Person who caused it; empty when none did.',
    cause_topic LowCardinality(String) COMMENT 'Topic of the record that caused the decision; empty when none did.',
    cause_partition Int64 COMMENT 'Partition of that record; -1 when none.',
    cause_offset Int64 COMMENT 'Offset of that record; -1 when none.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).',
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.'
)
AS SELECT
    mlapp_id,
    event_time,
    decided_at,
    transition_id,
    node_id,
    pipeline_instance_id,
    instance,
    run_id,
    attempt,
    state,
    previous_state,
    agent_id,
    reason,
    trigger,
    trigger_id,
    due_at,
    definition_version,
    model_id,
    exit_code,
    starts,
    who,
    cause_topic,
    cause_partition,
    cause_offset,
    ingested_at,
    _topic,
    _topic_id,
    _partition,
    _offset
FROM run_transitions_log FINAL
COMMENT 'Transitions of runs: one row a change of state, each once, with its reason. The view runs_current has one row a run.';

CREATE VIEW IF NOT EXISTS runs_current ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp.',
    run_id String COMMENT 'Run.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Instance of the node\'s pipeline, the same over all its runs.',
    instance Int64 COMMENT 'Number of the instance among the parallel ones, from 0.',
    attempt Int64 COMMENT 'Its last attempt, from 1: a retry and a move are new attempts of the same run.',
    state LowCardinality(String) COMMENT 'State now: waiting, assigned, running, unreachable, stopping, succeeded, failed, stopped, missed or lost.',
    has_ended Bool COMMENT 'Whether the state is succeeded, failed, stopped, missed or lost.',
    reason String COMMENT 'Why it is in this state, in a sentence.',
    state_since DateTime64(3, 'UTC') COMMENT 'Event time from which it is in this state.',
    due_at DateTime64(3, 'UTC') COMMENT 'When it was due.',
    started_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Event time at which its program first ran; NULL when it has not.',
    ended_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Event time at which it ended; NULL until then.',
    duration_ms Nullable(Int64) COMMENT 'From its start to its end, milliseconds; NULL until then, or when it never started.',
    agent_id LowCardinality(String) COMMENT 'Agent of its last attempt; empty when there was none.',
    trigger LowCardinality(String) COMMENT 'What made it due: schedule, parent, model, data, person, launch or service.',
    trigger_id String COMMENT 'Which: the due time in epoch milliseconds, or the id of the run, the model, the event or the action.',
    definition_version Int64 COMMENT 'Version of the definition that it runs.',
    model_id String COMMENT 'Model that it was last started with; may be empty.',
    exit_code Int64 COMMENT 'What the program returned last; 0 until it has ended.',
    starts Int64 COMMENT 'How often its program was started, over all attempts.',
    who LowCardinality(String) COMMENT 'Person who made it due; empty when none did.',
    stopped_by LowCardinality(String) COMMENT 'Person who stopped it; empty when none did.'
)
AS SELECT
    transition.mlapp_id AS mlapp_id,
    transition.node_id AS node_id,
    transition.run_id AS run_id,
    max(transition.pipeline_instance_id) AS pipeline_instance_id,
    any(transition.instance) AS instance,
    max(transition.attempt) AS attempt,
    argMax(transition.state, transition.place) AS state,
    state IN ('succeeded', 'failed', 'stopped', 'missed', 'lost') AS has_ended,
    argMax(transition.reason, transition.place) AS reason,
    argMax(transition.event_time, transition.place) AS state_since,
    min(transition.due_at) AS due_at,
    minOrNullIf(transition.event_time, transition.state = 'running') AS started_at,
    if(has_ended, state_since, NULL) AS ended_at,
    if(has_ended, dateDiff('millisecond', started_at, ended_at), NULL) AS duration_ms,
    argMaxIf(transition.agent_id, transition.place, transition.agent_id != '') AS agent_id,
    argMin(transition.trigger, transition.place) AS trigger,
    argMin(transition.trigger_id, transition.place) AS trigger_id,
    argMax(transition.definition_version, transition.place) AS definition_version,
    argMaxIf(transition.model_id, transition.place, transition.model_id != '') AS model_id,
    argMax(transition.exit_code, transition.place) AS exit_code,
    max(transition.starts) AS starts,
    argMin(transition.who, transition.place) AS who,
    argMaxIf(transition.who, transition.place, transition.state IN ('stopping', 'stopped') AND transition.who != '') AS stopped_by
FROM (SELECT *, (ingested_at, _partition, _offset) AS place FROM run_transitions WHERE run_id != '' AND state != 'refused') AS transition
GROUP BY mlapp_id, node_id, run_id
COMMENT 'Runs of nodes: one row a run, with its state now, when it was due, started and ended, and on which agent.';

-- Agents send lines again when they are not sure that they arrived: equal keys merge, and queries take one of each.
-- Deleted after weeks, so that a partition is a week. The index finds lines by any three characters, whatever their case.
CREATE TABLE IF NOT EXISTS logs ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Pipeline instance.',
    agent_id LowCardinality(String) COMMENT 'Agent on whose host it was written.',
    run_id String COMMENT 'Run.' CODEC(ZSTD(1)),
    attempt Int64 COMMENT 'Attempt of the run, from 1.' CODEC(ZSTD(1)),
    step_id LowCardinality(String) COMMENT 'Step of the pipeline; may be empty.',
    line Int64 COMMENT 'Number of the line in the log of the run\'s attempt, from 1.' CODEC(Delta, ZSTD(1)),
    dropped Int64 COMMENT 'Lines before this one that were not sent, for they were too many.' CODEC(ZSTD(1)),
    event_time DateTime64(3, 'UTC') COMMENT 'When the line was written.' CODEC(Delta, ZSTD(1)),
    stream LowCardinality(String) COMMENT 'stdout, stderr, or keeper: what keeps the run says something of it.',
    text String COMMENT 'The line, without its end; a long one is cut.' CODEC(ZSTD(3)),
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.' CODEC(ZSTD(1)),
    _offset Int64 COMMENT 'Lineage: Kafka offset.' CODEC(Delta, ZSTD(1)),
    _index UInt32 COMMENT 'Lineage: number of the line in its record, from 0.' CODEC(Delta, ZSTD(1)),
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1,
    INDEX text_parts lowerUTF8(text) TYPE ngrambf_v1(3, 16384, 3, 0) GRANULARITY 1
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY toMonday(ingested_at)
ORDER BY (mlapp_id, node_id, run_id, attempt, line, step_id)
TTL toDateTime(ingested_at) + INTERVAL 30 DAY
SETTINGS ttl_only_drop_parts = 1, ${insert_settings}
COMMENT 'What programs wrote while agents ran them: one row a line. A line that was sent twice may be there twice for a while: LIMIT 1 BY run_id, attempt, line.';
