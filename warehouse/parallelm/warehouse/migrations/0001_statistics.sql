-- Numbers: one row a sample, their rollup by day, and views by minute and hour.
-- The deduplication windows hold 12 partitions x 1 part an insert x 5 inserts a second for 28 minutes: if the owner
-- of one partition is away for that long while the others continue, its last block is still recognised.
-- Samples lie series by series: in the order of time, labels and hosts of different series would alternate, and a sample
-- of a sparse series would take half as much again. What distinguishes series beyond MLApp, name and node stands in the key
-- as one number: with a function of the labels there, a merge would take three times as long.
-- Parts are merged only when eight or more can be at once: a server that merges whatever it finds in an idle moment
-- writes each sample several times, which costs it more than the insert.

CREATE TABLE IF NOT EXISTS statistics ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    name LowCardinality(String) COMMENT 'Name of the statistic.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    model_id LowCardinality(String) COMMENT 'Model that the sample is about; empty when none.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels that distinguish this series from others of the same name, sorted by key; a multi-line graph has its line here.',
    series_id UInt64 DEFAULT cityHash64(mlapp_id, name, node_id, model_id, agent_id, labels) COMMENT 'Hash of the series: of MLApp, name, node, model, host and labels.' CODEC(ZSTD(1)),
    event_time DateTime64(3, 'UTC') COMMENT 'When the component measured it.' CODEC(Delta, ZSTD(1)),
    value Float64 COMMENT 'Value as reported; may be NaN or infinite.' CODEC(ZSTD(1)),
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Pipeline instance; empty when unknown.',
    category LowCardinality(String) COMMENT 'TIME_SERIES (every sample counts) or CONFIG (the last value holds).',
    graph_type LowCardinality(String) COMMENT 'How it is meant to be drawn: LINEGRAPH or MULTILINEGRAPH.',
    producer_id LowCardinality(String) COMMENT 'Process that reported it.',
    seq Int64 COMMENT 'Number of the record among those of its producer_id, from 0, without gaps.' CODEC(DoubleDelta, ZSTD(1)),
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.' CODEC(Delta, ZSTD(1)),
    _offset Int64 COMMENT 'Lineage: Kafka offset.' CODEC(DoubleDelta, ZSTD(1)),
    _series UInt32 COMMENT 'Lineage: number of the series in its record, from 0.' CODEC(Delta, ZSTD(1)),
    _index UInt32 COMMENT 'Lineage: number of the sample in its series, from 0.' CODEC(DoubleDelta, ZSTD(1)),
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (mlapp_id, name, node_id, series_id, event_time)
TTL toDateTime(ingested_at) + INTERVAL 730 DAY
SETTINGS ttl_only_drop_parts = 1, merge_selector_base = 10, min_parts_to_merge_at_once = 8, ${insert_settings}
COMMENT 'Numbers reported by components: one row a sample.';

-- Where a record has many samples of a series, the sink sends these as arrays: a fifth of the bytes, which server and sink
-- would pack and unpack. The server unfolds them as they arrive, in their order; the table itself holds nothing.
CREATE TABLE IF NOT EXISTS statistics_arrays ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    name LowCardinality(String) COMMENT 'Name of the statistic.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    model_id LowCardinality(String) COMMENT 'Model that the samples are about; empty when none.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels of the series, sorted by key.',
    series_id UInt64 COMMENT 'Hash of the series.',
    event_times Array(DateTime64(3, 'UTC')) COMMENT 'When the component measured each sample.',
    values Array(Float64) COMMENT 'Value of each sample.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Pipeline instance; empty when unknown.',
    category LowCardinality(String) COMMENT 'TIME_SERIES or CONFIG.',
    graph_type LowCardinality(String) COMMENT 'LINEGRAPH or MULTILINEGRAPH.',
    producer_id LowCardinality(String) COMMENT 'Process that reported them.',
    seq Int64 COMMENT 'Number of the record among those of its producer_id.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).',
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    _series UInt32 COMMENT 'Lineage: number of the series in its record, from 0.'
)
ENGINE = Null
COMMENT 'Entrance to statistics for records with many samples of a series; holds no rows.';

CREATE MATERIALIZED VIEW IF NOT EXISTS statistics_from_statistics_arrays ${on_cluster} TO statistics AS
SELECT
    mlapp_id,
    name,
    node_id,
    model_id,
    labels,
    series_id,
    event_time,
    value,
    agent_id,
    pipeline_instance_id,
    category,
    graph_type,
    producer_id,
    seq,
    ingested_at,
    _topic,
    _topic_id,
    _partition,
    _offset,
    _series,
    toUInt32(number - 1) AS _index
FROM statistics_arrays
ARRAY JOIN event_times AS event_time, values AS value, arrayEnumerate(values) AS number
COMMENT 'Unfolds arrays of samples as they arrive.';

-- One rollup, by day: minutes and hours are aggregated from the samples when they are asked for. A rollup by hour would
-- cost more than the samples of a series that reports once an hour; docs/performance.md has the figures.
CREATE TABLE IF NOT EXISTS statistics_by_day_state ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    name LowCardinality(String) COMMENT 'Name of the statistic.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    model_id LowCardinality(String) COMMENT 'Model that the samples are about; empty when none.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels of the series, sorted by key.',
    bucket_start DateTime64(3, 'UTC') COMMENT 'Start of the day in UTC, by event time.' CODEC(DoubleDelta, ZSTD(1)),
    n SimpleAggregateFunction(sum, UInt64) COMMENT 'Finite samples.' CODEC(ZSTD(1)),
    n_nonfinite SimpleAggregateFunction(sum, UInt64) COMMENT 'Samples that were NaN or infinite.' CODEC(ZSTD(1)),
    total SimpleAggregateFunction(sum, Float64) COMMENT 'Sum of the finite samples.' CODEC(ZSTD(1)),
    minimum SimpleAggregateFunction(min, Float64) COMMENT 'Smallest finite sample; infinity when there is none.' CODEC(ZSTD(1)),
    maximum SimpleAggregateFunction(max, Float64) COMMENT 'Largest finite sample; minus infinity when there is none.' CODEC(ZSTD(1)),
    last_ingested_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'When Kafka took the latest record in it.' CODEC(Delta, ZSTD(1))
)
ENGINE = ${replicated}AggregatingMergeTree
PARTITION BY toYear(bucket_start)
ORDER BY (mlapp_id, name, node_id, model_id, agent_id, labels, bucket_start)
TTL toDateTime(last_ingested_at) + INTERVAL 3650 DAY
SETTINGS merge_selector_base = 10, min_parts_to_merge_at_once = 8, ${insert_settings}
COMMENT 'Aggregation states of statistics by day: read the view statistics_by_day.';

CREATE MATERIALIZED VIEW IF NOT EXISTS statistics_by_day_from_statistics ${on_cluster} TO statistics_by_day_state AS
SELECT
    any(mlapp_id) AS mlapp_id,
    any(name) AS name,
    any(node_id) AS node_id,
    any(model_id) AS model_id,
    any(agent_id) AS agent_id,
    any(labels) AS labels,
    toStartOfInterval(event_time, INTERVAL 86400000 MILLISECOND) AS bucket_start,
    countIf(isFinite(value)) AS n,
    countIf(NOT isFinite(value)) AS n_nonfinite,
    sum(if(isFinite(value), value, 0.)) AS total,
    min(if(isFinite(value), value, inf)) AS minimum,
    max(if(isFinite(value), value, -inf)) AS maximum,
    max(ingested_at) AS last_ingested_at
FROM statistics
GROUP BY series_id, bucket_start
COMMENT 'Rolls samples up by day as they arrive.';

CREATE VIEW IF NOT EXISTS statistics_by_day ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    name LowCardinality(String) COMMENT 'Name of the statistic.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    model_id LowCardinality(String) COMMENT 'Model that the samples are about; empty when none.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels of the series.',
    bucket_start DateTime64(3, 'UTC') COMMENT 'Start of the day in UTC, by event time.',
    samples UInt64 COMMENT 'Finite samples.',
    nonfinite_samples UInt64 COMMENT 'Samples that were NaN or infinite.',
    sum_value Float64 COMMENT 'Sum of the finite samples.',
    mean_value Float64 COMMENT 'Mean of the finite samples; NaN when there is none.',
    min_value Float64 COMMENT 'Smallest finite sample; NaN when there is none.',
    max_value Float64 COMMENT 'Largest finite sample; NaN when there is none.'
)
AS SELECT
    mlapp_id,
    name,
    node_id,
    model_id,
    agent_id,
    labels,
    bucket_start,
    sum(state.n) AS samples,
    sum(state.n_nonfinite) AS nonfinite_samples,
    sum(state.total) AS sum_value,
    if(samples = 0, nan, sum_value / samples) AS mean_value,
    if(samples = 0, nan, min(state.minimum)) AS min_value,
    if(samples = 0, nan, max(state.maximum)) AS max_value
FROM statistics_by_day_state AS state
GROUP BY mlapp_id, name, node_id, model_id, agent_id, labels, bucket_start
COMMENT 'Statistics by day (UTC) of event time and series, also of samples that retention has removed: counts are exact, sums equal within rounding. Quantiles and the last value are in statistics_by_hour.';

CREATE VIEW IF NOT EXISTS statistics_by_hour ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    name LowCardinality(String) COMMENT 'Name of the statistic.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    model_id LowCardinality(String) COMMENT 'Model that the samples are about; empty when none.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels of the series.',
    bucket_start DateTime64(3, 'UTC') COMMENT 'Start of the hour, by event time.',
    samples UInt64 COMMENT 'Finite samples.',
    nonfinite_samples UInt64 COMMENT 'Samples that were NaN or infinite.',
    sum_value Float64 COMMENT 'Sum of the finite samples.',
    mean_value Float64 COMMENT 'Mean of the finite samples; NaN when there is none.',
    min_value Float64 COMMENT 'Smallest finite sample; NaN when there is none.',
    max_value Float64 COMMENT 'Largest finite sample; NaN when there is none.',
    last_value Float64 COMMENT 'Finite sample with the latest event time, of equal ones the later report; NaN when there is none.',
    p05_p50_p95_p99 Array(Float64) COMMENT 'Exact quantiles 0.05, 0.5, 0.95 and 0.99 of the finite samples; NaN when there is none.'
)
AS SELECT
    mlapp_id,
    name,
    node_id,
    model_id,
    agent_id,
    labels,
    toStartOfInterval(event_time, INTERVAL 3600000 MILLISECOND) AS bucket_start,
    countIf(isFinite(value)) AS samples,
    countIf(NOT isFinite(value)) AS nonfinite_samples,
    sumIf(value, isFinite(value)) AS sum_value,
    if(samples = 0, nan, sum_value / samples) AS mean_value,
    if(samples = 0, nan, minIf(value, isFinite(value))) AS min_value,
    if(samples = 0, nan, maxIf(value, isFinite(value))) AS max_value,
    if(samples = 0, nan, argMaxIf(value, (event_time, ingested_at, _partition, _offset, _series, _index), isFinite(value))) AS last_value,
    quantilesExactIf(0.05, 0.5, 0.95, 0.99)(value, isFinite(value)) AS p05_p50_p95_p99
FROM statistics
GROUP BY mlapp_id, name, node_id, model_id, agent_id, labels, bucket_start
COMMENT 'Statistics by hour of event time and series, aggregated from the samples at each question: name an MLApp and a range of bucket_start.';

CREATE VIEW IF NOT EXISTS statistics_by_minute ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    name LowCardinality(String) COMMENT 'Name of the statistic.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    model_id LowCardinality(String) COMMENT 'Model that the samples are about; empty when none.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels of the series.',
    bucket_start DateTime64(3, 'UTC') COMMENT 'Start of the minute, by event time.',
    samples UInt64 COMMENT 'Finite samples.',
    nonfinite_samples UInt64 COMMENT 'Samples that were NaN or infinite.',
    sum_value Float64 COMMENT 'Sum of the finite samples.',
    mean_value Float64 COMMENT 'Mean of the finite samples; NaN when there is none.',
    min_value Float64 COMMENT 'Smallest finite sample; NaN when there is none.',
    max_value Float64 COMMENT 'Largest finite sample; NaN when there is none.',
    last_value Float64 COMMENT 'Finite sample with the latest event time, of equal ones the later report; NaN when there is none.',
    p05_p50_p95_p99 Array(Float64) COMMENT 'Exact quantiles 0.05, 0.5, 0.95 and 0.99 of the finite samples; NaN when there is none.'
)
AS SELECT
    mlapp_id,
    name,
    node_id,
    model_id,
    agent_id,
    labels,
    toStartOfInterval(event_time, INTERVAL 60000 MILLISECOND) AS bucket_start,
    countIf(isFinite(value)) AS samples,
    countIf(NOT isFinite(value)) AS nonfinite_samples,
    sumIf(value, isFinite(value)) AS sum_value,
    if(samples = 0, nan, sum_value / samples) AS mean_value,
    if(samples = 0, nan, minIf(value, isFinite(value))) AS min_value,
    if(samples = 0, nan, maxIf(value, isFinite(value))) AS max_value,
    if(samples = 0, nan, argMaxIf(value, (event_time, ingested_at, _partition, _offset, _series, _index), isFinite(value))) AS last_value,
    quantilesExactIf(0.05, 0.5, 0.95, 0.99)(value, isFinite(value)) AS p05_p50_p95_p99
FROM statistics
GROUP BY mlapp_id, name, node_id, model_id, agent_id, labels, bucket_start
COMMENT 'Statistics by minute of event time and series, aggregated from the samples at each question: name an MLApp and a range of bucket_start.';
