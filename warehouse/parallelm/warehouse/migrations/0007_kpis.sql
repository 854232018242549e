-- Business KPIs: every revision of every point, and the latest.

CREATE TABLE IF NOT EXISTS kpis ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Pipeline instance; empty when unknown.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    producer_id LowCardinality(String) COMMENT 'Process that reported it.',
    seq Int64 COMMENT 'Number of the record among those of its producer_id, from 0, without gaps.',
    name LowCardinality(String) COMMENT 'Name of the KPI.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels: carrier, region, …',
    event_time DateTime64(3, 'UTC') COMMENT 'When the KPI had this value; often long past.',
    value Float64 COMMENT 'Value as reported; may be NaN or infinite.',
    model_id LowCardinality(String) COMMENT 'Model that it was reported through; empty when none.',
    withdrawn Bool COMMENT 'Whether this revision says that the point was wrong and holds no more.',
    source String COMMENT 'Where the point comes from: set_kpi, or the name of the uploaded file; of a withdrawal, who withdrew it and why.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    _index UInt32 COMMENT 'Lineage: number of the point in its record, from 0.',
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (mlapp_id, name, event_time)
SETTINGS ${insert_settings}
COMMENT 'Points of business KPIs, all revisions: one row a point and upload or withdrawal. The view kpis_current has the latest.';

CREATE VIEW IF NOT EXISTS kpis_current ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    name LowCardinality(String) COMMENT 'Name of the KPI.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels: carrier, region, …',
    event_time DateTime64(3, 'UTC') COMMENT 'When the KPI had this value.',
    value Float64 COMMENT 'Value of the latest revision.',
    revisions UInt64 COMMENT 'How often the point was uploaded or withdrawn.',
    model_id LowCardinality(String) COMMENT 'Model that the latest revision was reported through; empty when none.',
    source String COMMENT 'Where the latest revision comes from.',
    revised_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the latest revision.'
)
AS SELECT
    revision.mlapp_id AS mlapp_id,
    revision.name AS name,
    revision.labels AS labels,
    revision.event_time AS event_time,
    argMax(revision.value, revision.place) AS value,
    count() AS revisions,
    argMax(revision.model_id, revision.place) AS model_id,
    argMax(revision.source, revision.place) AS source,
    max(revision.ingested_at) AS revised_at
FROM (SELECT *, (ingested_at, _partition, _offset, _index) AS place FROM kpis) AS revision
GROUP BY mlapp_id, name, labels, event_time
HAVING NOT argMax(revision.withdrawn, revision.place)
COMMENT 'KPI points by their latest revision, without those that were withdrawn: one row a KPI, set of labels and time.';

CREATE VIEW IF NOT EXISTS kpi_correlation ${on_cluster} AS
WITH
    kpi_by_day AS
    (
        SELECT toDate32(event_time) AS day, avg(value) AS kpi_value, uniqExact(labels) AS kpi_series
        FROM kpis_current
        WHERE mlapp_id = {mlapp_id:String} AND name = {kpi:String} AND isFinite(value)
        GROUP BY day
    ),
    statistic_by_day AS
    (
        SELECT
            node_id,
            name AS statistic,
            labels AS statistic_labels,
            toDate32(bucket_start) AS day,
            sum(sum_value) / sum(samples) AS statistic_value
        FROM statistics_by_day
        WHERE mlapp_id = {mlapp_id:String} AND samples > 0
        GROUP BY node_id, statistic, statistic_labels, day
    )
SELECT
    node_id,
    statistic,
    statistic_labels,
    count() AS days,
    max(kpi_series) AS kpi_series,
    corrStable(statistic_value, kpi_value) AS correlation
FROM statistic_by_day
INNER JOIN kpi_by_day USING (day)
WHERE abs(statistic_value) < 1e150 AND abs(kpi_value) < 1e150
GROUP BY node_id, statistic, statistic_labels
HAVING days > 2
COMMENT 'A first look, no evidence: Pearson correlation of a KPI (the mean of its kpi_series label sets) with the daily mean of every statistic, by days of UTC, with season and trend left in, without lag or test. Any two series that rise, or are low on Sundays, correlate here without having to do with each other; `mcenter correlate` removes that and tests what is left. NaN where one of the two is constant; days with values of 1e150 or more are left out, as their squares overflow: SELECT * FROM kpi_correlation(mlapp_id = \'flight-delays\', kpi = \'on-time rate\').';
