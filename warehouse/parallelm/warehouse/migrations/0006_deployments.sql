-- Deployments: every decision about a model on a node, and one row a deployment.

CREATE TABLE IF NOT EXISTS deployment_transitions_log ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    event_time DateTime64(3, 'UTC') COMMENT 'Event time.',
    decided_at DateTime64(3, 'UTC') COMMENT 'Clock of the deciding process.',
    transition_id String COMMENT 'Deterministic: the same decision always has the same id.',
    node_id LowCardinality(String) COMMENT 'Node that consumes the model.',
    model_id String COMMENT 'Model.',
    deployment_id String COMMENT 'One deployment: MLApp, node, model and attempt.',
    attempt Int32 COMMENT 'Which deployment of this node it is, from 1: a roll-back to an earlier model is a new one. 0: decided not to deploy, or the answer to a person.',
    state LowCardinality(String) COMMENT 'State after the transition: held, awaiting_approval, canary, requested, accepted, active, superseded, failed, rolled_back, rejected, removed, skipped; pinned, unpinned, refused and deleted answer a person and change no deployment.',
    previous_state LowCardinality(String) COMMENT 'State before it; unknown when it is the first.',
    policy LowCardinality(String) COMMENT 'Model policy that decided: always_update, manual or canary.',
    reason String COMMENT 'Why, in a sentence.',
    who LowCardinality(String) COMMENT 'Person who decided; empty when the policy did.',
    related_model_id String COMMENT 'Model that it supersedes, or is superseded by; may be empty.',
    agent_id LowCardinality(String) COMMENT 'Agent that acknowledged; may be empty.',
    evidence_json String COMMENT 'JSON object with the numbers behind the decision: gates, comparisons of a canary and their scores; {} when there are none.',
    cause_topic LowCardinality(String) COMMENT 'Topic of the record that caused the decision; empty when none did.',
    cause_partition Int64 COMMENT 'Partition of that record; -1 when none.',
    cause_offset Int64 COMMENT 'Offset of that record; -1 when none.',
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
ORDER BY (mlapp_id, transition_id)
SETTINGS ${insert_settings}
COMMENT 'Transitions of deployments as they were written: read the view deployment_transitions.';

CREATE VIEW IF NOT EXISTS deployment_transitions ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    event_time DateTime64(3, 'UTC') COMMENT 'Event time.',
    decided_at DateTime64(3, 'UTC') COMMENT 'Clock of the deciding process.',
    transition_id String COMMENT 'Deterministic: the same decision always has the same id.',
    node_id LowCardinality(String) COMMENT 'Node that consumes the model.',
    model_id String COMMENT 'Model.',
    deployment_id String COMMENT 'One deployment: MLApp, node, model and attempt.',
    attempt Int32 COMMENT 'Which deployment of this node it is, from 1: a roll-back to an earlier model is a new one. 0: decided not to deploy, or the answer to a person.',
    state LowCardinality(String) COMMENT 'State after the transition: held, awaiting_approval, canary, requested, accepted, active, superseded, failed, rolled_back, rejected, removed, skipped; pinned, unpinned, refused and deleted answer a person and change no deployment.',
    previous_state LowCardinality(String) COMMENT 'State before it; unknown when it is the first.',
    policy LowCardinality(String) COMMENT 'Model policy that decided: always_update, manual or canary.',
    reason String COMMENT 'Why, in a sentence.',
    who LowCardinality(String) COMMENT 'Person who decided; empty when the policy did.',
    related_model_id String COMMENT 'Model that it supersedes, or is superseded by; may be empty.',
    agent_id LowCardinality(String) COMMENT 'Agent that acknowledged; may be empty.',
    evidence_json String COMMENT 'JSON object with the numbers behind the decision: gates, comparisons of a canary and their scores; {} when there are none.',
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
    model_id,
    deployment_id,
    attempt,
    state,
    previous_state,
    policy,
    reason,
    who,
    related_model_id,
    agent_id,
    evidence_json,
    cause_topic,
    cause_partition,
    cause_offset,
    ingested_at,
    _topic,
    _topic_id,
    _partition,
    _offset
FROM deployment_transitions_log FINAL
COMMENT 'Transitions of deployments: one row a change of state or a decision not to deploy, each once, with its reason.';

CREATE VIEW IF NOT EXISTS deployments_current ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    node_id LowCardinality(String) COMMENT 'Node that consumes the model.',
    model_id String COMMENT 'Model.',
    model_name String COMMENT 'Name of the model; empty until its announcement has arrived.',
    deployment_id String COMMENT 'One deployment: MLApp, node, model and attempt.',
    attempt Int32 COMMENT 'Which deployment of this node it is, from 1; 0 for a decision not to deploy.',
    state LowCardinality(String) COMMENT 'State now.',
    policy LowCardinality(String) COMMENT 'Model policy that decided.',
    decided_at DateTime64(3, 'UTC') COMMENT 'Event time of its first transition.',
    requested_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Event time at which it was requested of the node; NULL when it was not.',
    accepted_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Event time at which the node accepted the model; NULL when it has not.',
    live_from Nullable(DateTime64(3, 'UTC')) COMMENT 'Event time from which the model was live on the node; NULL when it never was.',
    live_to Nullable(DateTime64(3, 'UTC')) COMMENT 'Event time until which it was live; NULL while it is.',
    decided_reason String COMMENT 'Why it was requested of the node, in a sentence; until it is, why it was taken up.',
    decided_by LowCardinality(String) COMMENT 'Person who decided that; empty when the policy did.',
    ended_reason String COMMENT 'Why it ended, in a sentence; empty until then.',
    ended_by LowCardinality(String) COMMENT 'Person who ended it; empty when none did.',
    related_model_id String COMMENT 'Model of the last transition that named another one; may be empty.',
    agents Array(String) COMMENT 'Agents that have accepted it.',
    evidence_json String COMMENT 'Numbers behind its last decision that has any, as JSON; {} when none has.'
)
AS SELECT
    deployment.mlapp_id AS mlapp_id,
    deployment.node_id AS node_id,
    deployment.model_id AS model_id,
    announced.model_name AS model_name,
    deployment.deployment_id AS deployment_id,
    deployment.attempt AS attempt,
    deployment.state AS state,
    deployment.policy AS policy,
    deployment.decided_at AS decided_at,
    deployment.requested_at AS requested_at,
    deployment.accepted_at AS accepted_at,
    deployment.live_from AS live_from,
    deployment.live_to AS live_to,
    deployment.decided_reason AS decided_reason,
    deployment.decided_by AS decided_by,
    deployment.ended_reason AS ended_reason,
    deployment.ended_by AS ended_by,
    deployment.related_model_id AS related_model_id,
    deployment.agents AS agents,
    deployment.evidence_json AS evidence_json
FROM
(
    SELECT
        transition.mlapp_id AS mlapp_id,
        transition.node_id AS node_id,
        transition.model_id AS model_id,
        transition.deployment_id AS deployment_id,
        any(transition.attempt) AS attempt,
        argMax(transition.state, transition.place) AS state,
        argMin(transition.policy, transition.place) AS policy,
        min(transition.event_time) AS decided_at,
        minOrNullIf(transition.event_time, transition.state = 'requested') AS requested_at,
        minOrNullIf(transition.event_time, transition.state = 'accepted') AS accepted_at,
        minOrNullIf(transition.event_time, transition.state = 'active') AS live_from,
        if(
            isNull(live_from), NULL,
            minOrNullIf(transition.event_time, transition.state IN ('superseded', 'rolled_back', 'removed'))
        ) AS live_to,
        argMin(transition.reason, (transition.state != 'requested', transition.place)) AS decided_reason,
        argMin(transition.who, (transition.state != 'requested', transition.place)) AS decided_by,
        if(state IN ('superseded', 'failed', 'rolled_back', 'rejected', 'removed', 'skipped'), argMax(transition.reason, transition.place), '') AS ended_reason,
        if(ended_reason = '', '', argMax(transition.who, transition.place)) AS ended_by,
        argMaxIf(transition.related_model_id, transition.place, transition.related_model_id != '') AS related_model_id,
        arraySort(groupUniqArrayIf(toString(transition.agent_id), transition.agent_id != '')) AS agents,
        argMax(
            if(transition.evidence_json = '', '{}', transition.evidence_json),
            (transition.evidence_json NOT IN ('', '{}'), transition.place)
        ) AS evidence_json
    FROM
    (
        SELECT *, (ingested_at, _partition, _offset) AS place
        FROM deployment_transitions
        WHERE state NOT IN ('pinned', 'unpinned', 'refused', 'deleted')
    ) AS transition
    GROUP BY mlapp_id, node_id, model_id, deployment_id
) AS deployment
LEFT JOIN
(
    SELECT mlapp_id, model_id, any(toString(name)) AS model_name
    FROM models
    GROUP BY mlapp_id, model_id
) AS announced ON announced.mlapp_id = deployment.mlapp_id AND announced.model_id = deployment.model_id
COMMENT 'Deployments: one row a deployment, with its state now and from when to when its model was live.';

CREATE VIEW IF NOT EXISTS live_models ${on_cluster} AS
SELECT *
FROM deployments_current
WHERE live_from <= {at:DateTime64(3, 'UTC')} AND (live_to IS NULL OR live_to > {at:DateTime64(3, 'UTC')})
ORDER BY mlapp_id, node_id, attempt DESC, live_from DESC
LIMIT 1 BY mlapp_id, node_id
COMMENT 'The model that was live on each node at a moment: SELECT * FROM live_models(at = \'2013-06-01 12:00:00\').';
