-- Alerts: every transition of their lifecycle, and one row an episode.
-- A decision repeated after a restart has the same transition_id and is one row in the view.

CREATE TABLE IF NOT EXISTS alert_transitions_log ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    event_time DateTime64(3, 'UTC') COMMENT 'Event time.',
    decided_at DateTime64(3, 'UTC') COMMENT 'Clock of the deciding process.',
    transition_id String COMMENT 'Deterministic: the same decision always has the same id.',
    alert_id String COMMENT 'One episode of one alert: fingerprint and start.',
    fingerprint String COMMENT 'Hash of rule and labels.',
    rule LowCardinality(String) COMMENT 'Name of the rule; the event type for alerts that components raise.',
    rule_type LowCardinality(String) COMMENT 'Type of the rule; component for alerts that components raise.',
    state LowCardinality(String) COMMENT 'State after the transition: pending, firing, resolved, acknowledged, silenced, inactive.',
    previous_state LowCardinality(String) COMMENT 'State before it.',
    severity LowCardinality(String) COMMENT 'info, warning or critical.',
    started_at DateTime64(3, 'UTC') COMMENT 'Event time at which the condition was first met in this episode.',
    value Float64 COMMENT 'Value that caused it; NaN when none.',
    threshold Float64 COMMENT 'Threshold that it was compared with; NaN when none.',
    statistic LowCardinality(String) COMMENT 'Statistic, KPI or event type that it is about.',
    node_id LowCardinality(String) COMMENT 'Node; may be empty.',
    model_id LowCardinality(String) COMMENT 'Model; may be empty.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels.',
    annotations Map(LowCardinality(String), String) COMMENT 'Texts.',
    reason String COMMENT 'Why, in a sentence.',
    who LowCardinality(String) COMMENT 'Person who acted; empty when a rule did.',
    supersedes String COMMENT 'transition_id that this one corrects; empty when none.',
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
COMMENT 'Transitions of alerts as they were written: read the view alert_transitions.';

CREATE VIEW IF NOT EXISTS alert_transitions ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    event_time DateTime64(3, 'UTC') COMMENT 'Event time.',
    decided_at DateTime64(3, 'UTC') COMMENT 'Clock of the deciding process.',
    transition_id String COMMENT 'Deterministic: the same decision always has the same id.',
    alert_id String COMMENT 'One episode of one alert: fingerprint and start.',
    fingerprint String COMMENT 'Hash of rule and labels.',
    rule LowCardinality(String) COMMENT 'Name of the rule; the event type for alerts that components raise.',
    rule_type LowCardinality(String) COMMENT 'Type of the rule; component for alerts that components raise.',
    state LowCardinality(String) COMMENT 'State after the transition: pending, firing, resolved, acknowledged, silenced, inactive.',
    previous_state LowCardinality(String) COMMENT 'State before it.',
    severity LowCardinality(String) COMMENT 'info, warning or critical.',
    started_at DateTime64(3, 'UTC') COMMENT 'Event time at which the condition was first met in this episode.',
    value Float64 COMMENT 'Value that caused it; NaN when none.',
    threshold Float64 COMMENT 'Threshold that it was compared with; NaN when none.',
    statistic LowCardinality(String) COMMENT 'Statistic, KPI or event type that it is about.',
    node_id LowCardinality(String) COMMENT 'Node; may be empty.',
    model_id LowCardinality(String) COMMENT 'Model; may be empty.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels.',
    annotations Map(LowCardinality(String), String) COMMENT 'Texts.',
    reason String COMMENT 'Why, in a sentence.',
    who LowCardinality(String) COMMENT 'Person who acted; empty when a rule did.',
    supersedes String COMMENT 'transition_id that this one corrects; empty when none.',
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
    alert_id,
    fingerprint,
    rule,
    rule_type,
    state,
    previous_state,
    severity,
    started_at,
    value,
    threshold,
    statistic,
    node_id,
    model_id,
    labels,
    annotations,
    reason,
    who,
    supersedes,
    cause_topic,
    cause_partition,
    cause_offset,
    ingested_at,
    _topic,
    _topic_id,
    _partition,
    _offset
FROM alert_transitions_log FINAL
COMMENT 'Transitions of alerts: one row a change of state, each once.';

CREATE VIEW IF NOT EXISTS alerts_current ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    alert_id String COMMENT 'One episode of one alert.',
    fingerprint String COMMENT 'Hash of rule and labels: equal for all episodes of the alert.',
    rule LowCardinality(String) COMMENT 'Name of the rule.',
    rule_type LowCardinality(String) COMMENT 'Type of the rule.',
    severity LowCardinality(String) COMMENT 'info, warning or critical.',
    state LowCardinality(String) COMMENT 'State now.',
    statistic LowCardinality(String) COMMENT 'Statistic, KPI or event type that it is about.',
    node_id LowCardinality(String) COMMENT 'Node; may be empty.',
    model_id LowCardinality(String) COMMENT 'Model when it started; may be empty.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels.',
    value Float64 COMMENT 'Value that made it fire (or become pending, when it has not fired); NaN when none.',
    threshold Float64 COMMENT 'Threshold; NaN when none.',
    started_at DateTime64(3, 'UTC') COMMENT 'Event time at which the condition was first met.',
    fired_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Event time at which it fired; NULL when it has not.',
    resolved_at Nullable(DateTime64(3, 'UTC')) COMMENT 'Event time at which it resolved; NULL while it is open.',
    acknowledged_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When a person acknowledged it; NULL when nobody has.',
    acknowledged_by LowCardinality(String) COMMENT 'Who acknowledged it.',
    fired_reason String COMMENT 'Why it fired.',
    resolved_reason String COMMENT 'Why it resolved.'
)
AS SELECT
    transition.mlapp_id AS mlapp_id,
    transition.alert_id AS alert_id,
    any(transition.fingerprint) AS fingerprint,
    any(transition.rule) AS rule,
    any(transition.rule_type) AS rule_type,
    argMax(transition.severity, transition.place) AS severity,
    argMax(transition.state, transition.place) AS state,
    any(transition.statistic) AS statistic,
    any(transition.node_id) AS node_id,
    argMin(transition.model_id, transition.place) AS model_id,
    argMin(transition.labels, transition.place) AS labels,
    argMin(transition.value, (transition.state != 'firing', transition.place)) AS value,
    argMin(transition.threshold, (transition.state != 'firing', transition.place)) AS threshold,
    min(transition.started_at) AS started_at,
    minOrNullIf(transition.event_time, transition.state = 'firing') AS fired_at,
    if(state = 'resolved', maxOrNullIf(transition.event_time, transition.state = 'resolved'), NULL) AS resolved_at,
    minOrNullIf(transition.event_time, transition.state = 'acknowledged') AS acknowledged_at,
    argMinIf(transition.who, transition.place, transition.state = 'acknowledged') AS acknowledged_by,
    argMinIf(transition.reason, transition.place, transition.state = 'firing') AS fired_reason,
    if(state = 'resolved', argMaxIf(transition.reason, transition.place, transition.state = 'resolved'), '') AS resolved_reason
FROM
(
    SELECT *, (ingested_at, _partition, _offset) AS place
    FROM alert_transitions
    WHERE transition_id NOT IN (SELECT supersedes FROM alert_transitions WHERE supersedes != '')
) AS transition
GROUP BY mlapp_id, alert_id
COMMENT 'Alerts: one row an episode, from the moment its condition was met until it resolved.';

CREATE VIEW IF NOT EXISTS alerts_open ${on_cluster} AS
SELECT *
FROM alerts_current
WHERE fired_at <= {at:DateTime64(3, 'UTC')} AND (resolved_at IS NULL OR resolved_at > {at:DateTime64(3, 'UTC')})
COMMENT 'Alerts that were firing at a moment: SELECT * FROM alerts_open(at = \'2013-06-01 12:00:00\').';
