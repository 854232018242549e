-- Predictions, the outcomes that became known later, and both side by side.

CREATE TABLE IF NOT EXISTS predictions ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Pipeline instance; empty when unknown.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    producer_id LowCardinality(String) COMMENT 'Process that reported it.',
    seq Int64 COMMENT 'Number of the record among those of its producer_id, from 0, without gaps.',
    outcome LowCardinality(String) COMMENT 'What is predicted; outcomes are uploaded under the same name.',
    kind LowCardinality(String) COMMENT 'number (of a regression), score (probability that the outcome is 1) or class.',
    model_id LowCardinality(String) COMMENT 'Model that predicted; empty when unknown.',
    prediction_id String COMMENT 'What is predicted about: an order, a flight. The outcome comes under the same id.' CODEC(ZSTD(1)),
    event_time DateTime64(3, 'UTC') COMMENT 'When the prediction was made.' CODEC(Delta, ZSTD(1)),
    value Float64 COMMENT 'Predicted number or score; NaN for classes.',
    predicted_class LowCardinality(String) COMMENT 'Predicted class; empty for numbers and scores.',
    features Map(LowCardinality(String), String) COMMENT 'Inputs as text, without missing ones; hashed ones are 16 hexadecimal digits.',
    sampled_share Float64 COMMENT 'Share of predictions that were reported, above 0 and up to 1.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    _index UInt32 COMMENT 'Lineage: number of the prediction in its record, from 0.',
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (mlapp_id, outcome, model_id, event_time)
TTL toDateTime(ingested_at) + INTERVAL 730 DAY
SETTINGS ${insert_settings}, ttl_only_drop_parts = 1
COMMENT 'Predictions as reported: one row a prediction. The view outcomes has them beside what became known.';

CREATE TABLE IF NOT EXISTS actuals ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Pipeline instance; empty when unknown.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    producer_id LowCardinality(String) COMMENT 'Process that reported it.',
    seq Int64 COMMENT 'Number of the record among those of its producer_id, from 0, without gaps.',
    source String COMMENT 'Where it comes from: actuals, or the name of the uploaded file.',
    outcome LowCardinality(String) COMMENT 'What became known; the name under which it was predicted.',
    prediction_id String COMMENT 'Id of the prediction.' CODEC(ZSTD(1)),
    event_time DateTime64(3, 'UTC') COMMENT 'When the outcome happened; often long past.' CODEC(Delta, ZSTD(1)),
    actual String COMMENT 'The outcome as text: a number, or a class.' CODEC(ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime): when the outcome became known.' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    _index UInt32 COMMENT 'Lineage: number of the outcome in its record, from 0.',
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (mlapp_id, outcome, prediction_id)
TTL toDateTime(ingested_at) + INTERVAL 730 DAY
SETTINGS ${insert_settings}, ttl_only_drop_parts = 1
COMMENT 'Outcomes of what was predicted, all revisions: the newest by (ingested_at, _partition, _offset, _index) counts.';

CREATE VIEW IF NOT EXISTS outcomes ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    outcome LowCardinality(String) COMMENT 'What is predicted.',
    kind LowCardinality(String) COMMENT 'number (of a regression), score (probability that the outcome is 1) or class.',
    model_id LowCardinality(String) COMMENT 'Model that predicted; empty when unknown.',
    prediction_id String COMMENT 'What is predicted about.',
    event_time DateTime64(3, 'UTC') COMMENT 'When the prediction was made.',
    value Float64 COMMENT 'Predicted number or score; NaN for classes.',
    predicted_class LowCardinality(String) COMMENT 'Predicted class; empty for numbers and scores.',
    features Map(LowCardinality(String), String) COMMENT 'Inputs as text, without missing ones.',
    sampled_share Float64 COMMENT 'Share of predictions that were reported.',
    is_known Bool COMMENT 'Whether the outcome is known.',
    actual String COMMENT 'The outcome by its newest revision; empty when not known.',
    actual_number Float64 COMMENT 'The outcome as a number, true as 1 and false as 0; NaN when not known or no number.',
    happened_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the outcome happened; NULL when not known.',
    known_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When its newest revision arrived; NULL when not known.'
)
AS SELECT
    prediction.mlapp_id AS mlapp_id,
    prediction.node_id AS node_id,
    prediction.outcome AS outcome,
    prediction.kind AS kind,
    prediction.model_id AS model_id,
    prediction.prediction_id AS prediction_id,
    prediction.event_time AS event_time,
    prediction.value AS value,
    prediction.predicted_class AS predicted_class,
    prediction.features AS features,
    prediction.sampled_share AS sampled_share,
    CAST(known._topic != '', 'Bool') AS is_known,
    known.actual AS actual,
    multiIf(
        NOT is_known, nan,
        lower(actual) = 'true', 1,
        lower(actual) = 'false', 0,
        ifNull(toFloat64OrNull(actual), nan)
    ) AS actual_number,
    if(is_known, known.event_time, NULL) AS happened_at,
    if(is_known, known.ingested_at, NULL) AS known_at
FROM
(
    SELECT *
    FROM predictions
    ORDER BY ingested_at DESC, _partition DESC, _offset DESC, _index DESC
    LIMIT 1 BY mlapp_id, node_id, outcome, kind, model_id, prediction_id
) AS prediction
LEFT JOIN
(
    SELECT mlapp_id, outcome, prediction_id, actual, event_time, ingested_at, _topic
    FROM actuals
    ORDER BY ingested_at DESC, _partition DESC, _offset DESC, _index DESC
    LIMIT 1 BY mlapp_id, outcome, prediction_id
) AS known
    ON known.mlapp_id = prediction.mlapp_id
    AND known.outcome = prediction.outcome
    AND known.prediction_id = prediction.prediction_id
COMMENT 'Each prediction beside its outcome by the newest revision. Of a prediction of one kind that the same model made again under the same id, the newest report counts.';

CREATE VIEW IF NOT EXISTS outcomes_between ${on_cluster} AS SELECT
    prediction.mlapp_id AS mlapp_id,
    prediction.node_id AS node_id,
    prediction.outcome AS outcome,
    prediction.kind AS kind,
    prediction.model_id AS model_id,
    prediction.prediction_id AS prediction_id,
    prediction.event_time AS event_time,
    prediction.value AS value,
    prediction.predicted_class AS predicted_class,
    prediction.features AS features,
    prediction.sampled_share AS sampled_share,
    CAST(known._topic != '', 'Bool') AS is_known,
    known.actual AS actual,
    multiIf(
        NOT is_known, nan,
        lower(actual) = 'true', 1,
        lower(actual) = 'false', 0,
        ifNull(toFloat64OrNull(actual), nan)
    ) AS actual_number,
    if(is_known, known.event_time, NULL) AS happened_at,
    if(is_known, known.ingested_at, NULL) AS known_at
FROM
(
    SELECT *
    FROM (SELECT * FROM predictions)
    WHERE ingested_at <= {known_at:DateTime64(3, 'UTC')}
        AND prediction_id IN
        (
            SELECT prediction_id
            FROM predictions
            WHERE event_time >= {start:DateTime64(3, 'UTC')} AND event_time < {end:DateTime64(3, 'UTC')}
        )
    ORDER BY ingested_at DESC, _partition DESC, _offset DESC, _index DESC
    LIMIT 1 BY mlapp_id, node_id, outcome, kind, model_id, prediction_id
) AS prediction
LEFT JOIN
(
    SELECT mlapp_id, outcome, prediction_id, actual, event_time, ingested_at, _topic
    FROM actuals
    WHERE ingested_at <= {known_at:DateTime64(3, 'UTC')}
        AND prediction_id IN
        (
            SELECT prediction_id
            FROM predictions
            WHERE event_time >= {start:DateTime64(3, 'UTC')} AND event_time < {end:DateTime64(3, 'UTC')}
        )
    ORDER BY ingested_at DESC, _partition DESC, _offset DESC, _index DESC
    LIMIT 1 BY mlapp_id, outcome, prediction_id
) AS known
    ON known.mlapp_id = prediction.mlapp_id
    AND known.outcome = prediction.outcome
    AND known.prediction_id = prediction.prediction_id
WHERE prediction.event_time >= {start:DateTime64(3, 'UTC')} AND prediction.event_time < {end:DateTime64(3, 'UTC')}
COMMENT 'Predictions made from start on and before end, with their outcomes as known at a moment; columns as in outcomes: SELECT * FROM outcomes_between(start = \'2013-06-01 00:00:00\', end = \'2013-06-02 00:00:00\', known_at = now()). Reads only what this time needs.';
