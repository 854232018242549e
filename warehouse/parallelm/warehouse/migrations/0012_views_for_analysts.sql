-- Views that put together what lies in several tables, for questions that analysts ask again and again.

CREATE VIEW IF NOT EXISTS kpis_known_at ${on_cluster} AS
SELECT
    revision.mlapp_id AS mlapp_id,
    revision.name AS name,
    revision.labels AS labels,
    revision.event_time AS event_time,
    argMax(revision.value, revision.place) AS value,
    count() AS revisions,
    argMax(revision.model_id, revision.place) AS model_id,
    argMax(revision.source, revision.place) AS source,
    max(revision.ingested_at) AS revised_at
FROM
(
    SELECT *, (ingested_at, _partition, _offset, _index) AS place
    FROM kpis
    WHERE ingested_at <= {at:DateTime64(3, 'UTC')}
) AS revision
GROUP BY mlapp_id, name, labels, event_time
HAVING NOT argMax(revision.withdrawn, revision.place)
COMMENT 'KPI points as they were known at a moment, without later revisions and withdrawals; columns as in kpis_current: SELECT * FROM kpis_known_at(at = \'2013-06-01 12:00:00\').';

CREATE VIEW IF NOT EXISTS samples_with_live_model ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    name LowCardinality(String) COMMENT 'Name of the statistic.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels of the series.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    event_time DateTime64(3, 'UTC') COMMENT 'When the component measured it.',
    value Float64 COMMENT 'Value as reported; may be NaN or infinite.',
    model_id LowCardinality(String) COMMENT 'Model that the component named with the sample; empty when none.',
    live_model_id String COMMENT 'Model that was live on the node at that time; empty when none was.',
    live_model_name String COMMENT 'Its name; empty when none was live or it was not announced.',
    live_since Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when it was live; NULL when none was.'
)
AS SELECT
    sample.mlapp_id AS mlapp_id,
    sample.node_id AS node_id,
    sample.name AS name,
    sample.labels AS labels,
    sample.agent_id AS agent_id,
    sample.event_time AS event_time,
    sample.value AS value,
    sample.model_id AS model_id,
    if(was_live, live.model_id, '') AS live_model_id,
    if(was_live, live.model_name, '') AS live_model_name,
    if(was_live, live.live_from, NULL) AS live_since,
    live.deployment_id != '' AND (live.live_to IS NULL OR sample.event_time < live.live_to) AS was_live
FROM statistics AS sample
ASOF LEFT JOIN
(
    SELECT mlapp_id, node_id, model_id, model_name, deployment_id, assumeNotNull(live_from) AS live_from, live_to
    FROM deployments_current
    WHERE live_from IS NOT NULL
) AS live ON live.mlapp_id = sample.mlapp_id AND live.node_id = sample.node_id AND sample.event_time >= live.live_from
COMMENT 'Samples beside the model that was live on their node when they were measured, whether or not the component named it.';

CREATE VIEW IF NOT EXISTS decisions_and_causes ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    decided_about String COMMENT 'deployment or alert.',
    event_time DateTime64(3, 'UTC') COMMENT 'Event time of the decision.',
    id String COMMENT 'deployment_id or alert_id.',
    state LowCardinality(String) COMMENT 'State after the decision.',
    previous_state LowCardinality(String) COMMENT 'State before it.',
    node_id LowCardinality(String) COMMENT 'Node; may be empty.',
    model_id String COMMENT 'Model; may be empty.',
    rule_or_policy LowCardinality(String) COMMENT 'Alert rule or model policy that decided.',
    reason String COMMENT 'Why, in a sentence.',
    who LowCardinality(String) COMMENT 'Person who decided; empty when a rule or a policy did.',
    cause_topic LowCardinality(String) COMMENT 'Topic of the record that caused it; empty when none did.',
    cause_partition Int64 COMMENT 'Partition of that record; -1 when none.',
    cause_offset Int64 COMMENT 'Offset of that record; -1 when none.',
    cause String COMMENT 'What that record was, in a few words; empty for a statistic, whose samples have this topic, partition and offset.'
)
AS SELECT
    decision.mlapp_id AS mlapp_id,
    decision.decided_about AS decided_about,
    decision.event_time AS event_time,
    decision.id AS id,
    decision.state AS state,
    decision.previous_state AS previous_state,
    decision.node_id AS node_id,
    decision.model_id AS model_id,
    decision.rule_or_policy AS rule_or_policy,
    decision.reason AS reason,
    decision.who AS who,
    decision.cause_topic AS cause_topic,
    decision.cause_partition AS cause_partition,
    decision.cause_offset AS cause_offset,
    record.cause AS cause
FROM
(
    SELECT
        mlapp_id, 'deployment' AS decided_about, event_time, deployment_id AS id, state, previous_state, node_id, model_id,
        policy AS rule_or_policy, reason, who, cause_topic, cause_partition, cause_offset,
        ingested_at + toIntervalMinute(1) AS latest_cause -- clocks of brokers differ
    FROM deployment_transitions
    UNION ALL
    SELECT
        mlapp_id, 'alert' AS decided_about, event_time, alert_id AS id, state, previous_state, node_id,
        toString(model_id) AS model_id, rule AS rule_or_policy, reason, who, cause_topic, cause_partition, cause_offset,
        ingested_at + toIntervalMinute(1) AS latest_cause
    FROM alert_transitions
) AS decision
ASOF LEFT JOIN
(
    -- A topic that was made again has other records at the same places.
    SELECT _topic AS topic, toInt64(_partition) AS partition, _offset AS offset, min(ingested_at) AS came_at, any(described) AS cause
    FROM
    (
        SELECT _topic, _topic_id, _partition, _offset, ingested_at, concat('model ', name, ' (', model_id, ') announced') AS described FROM models
        UNION ALL
        SELECT _topic, _topic_id, _partition, _offset, ingested_at, concat(action, ' by ', who, if(comment = '', '', concat(': ', comment))) FROM actions
        UNION ALL
        SELECT _topic, _topic_id, _partition, _offset, ingested_at, concat('event ', type, if(title = '', '', concat(': ', title))) FROM events
        UNION ALL
        SELECT _topic, _topic_id, _partition, _offset, ingested_at, concat('KPI ', name, ' from ', source) FROM kpis
        UNION ALL
        SELECT _topic, _topic_id, _partition, _offset, ingested_at, concat('alert ', rule, ' ', state) FROM alert_transitions
        UNION ALL
        SELECT _topic, _topic_id, _partition, _offset, ingested_at, concat('model ', model_id, ' ', state, ' on ', node_id) FROM deployment_transitions
        UNION ALL
        SELECT _topic, _topic_id, _partition, _offset, ingested_at, if(is_deleted, 'MLApp removed', concat('version ', toString(version), ' of the MLApp applied by ', applied_by)) FROM mlapps
    )
    GROUP BY topic, _topic_id, partition, offset
) AS record ON record.topic = decision.cause_topic AND record.partition = decision.cause_partition AND record.offset = decision.cause_offset
    AND record.came_at <= decision.latest_cause
COMMENT 'Lineage of decisions: one row a change of state of a deployment or an alert, with the record that caused it.';

CREATE VIEW IF NOT EXISTS model_lineage ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    model_id String COMMENT 'Model.',
    model_name String COMMENT 'Its name.',
    announced_at DateTime64(3, 'UTC') COMMENT 'Event time of its announcement.',
    trained_on LowCardinality(String) COMMENT 'Node that published it.',
    trained_by LowCardinality(String) COMMENT 'Host on which that component ran.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Pipeline instance that published it.',
    sha256 String COMMENT 'SHA-256 of its artifact.',
    deployments UInt64 COMMENT 'How often it was deployed to any node, decisions not to deploy included.',
    live_on Array(String) COMMENT 'Nodes on which it is live now.',
    first_live_from Nullable(DateTime64(3, 'UTC')) COMMENT 'Since when it was first live on any node; NULL when it never was.',
    last_live_to Nullable(DateTime64(3, 'UTC')) COMMENT 'Until when it was last live; NULL while it is, or when it never was.',
    last_reason String COMMENT 'Why it ended, or else why it was deployed, in a sentence; of its latest deployment.',
    alerts UInt64 COMMENT 'Alerts about it that fired.'
)
AS SELECT
    model.mlapp_id AS mlapp_id,
    model.model_id AS model_id,
    model.name AS model_name,
    model.event_time AS announced_at,
    model.node_id AS trained_on,
    model.agent_id AS trained_by,
    model.pipeline_instance_id AS pipeline_instance_id,
    model.sha256 AS sha256,
    deployed.deployments AS deployments,
    deployed.live_on AS live_on,
    deployed.first_live_from AS first_live_from,
    deployed.last_live_to AS last_live_to,
    deployed.last_reason AS last_reason,
    alerted.alerts AS alerts
FROM models AS model
LEFT JOIN
(
    SELECT
        mlapp_id,
        model_id,
        count() AS deployments,
        arraySort(groupUniqArrayIf(toString(node_id), live_from IS NOT NULL AND live_to IS NULL)) AS live_on,
        min(live_from) AS first_live_from,
        if(empty(live_on), max(live_to), NULL) AS last_live_to,
        argMax(if(ended_reason = '', decided_reason, ended_reason), (decided_at, attempt)) AS last_reason
    FROM deployments_current
    GROUP BY mlapp_id, model_id
) AS deployed ON deployed.mlapp_id = model.mlapp_id AND deployed.model_id = model.model_id
LEFT JOIN
(
    SELECT mlapp_id, toString(model_id) AS model_id, count() AS alerts
    FROM alerts_current
    WHERE fired_at IS NOT NULL AND model_id != ''
    GROUP BY mlapp_id, model_id
) AS alerted ON alerted.mlapp_id = model.mlapp_id AND alerted.model_id = model.model_id
COMMENT 'Lineage of models: one row a model, from the component that trained it to the nodes on which it was live and the alerts about it.';
