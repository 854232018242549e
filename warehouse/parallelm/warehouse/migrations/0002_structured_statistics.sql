-- Statistics that are not a single number, and the histograms among them, one row a feature.

CREATE TABLE IF NOT EXISTS structured_statistics ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Pipeline instance; empty when unknown.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    producer_id LowCardinality(String) COMMENT 'Process that reported it.',
    seq Int64 COMMENT 'Number of the record among those of its producer_id, from 0, without gaps.',
    event_time DateTime64(3, 'UTC') COMMENT 'Event time.',
    name LowCardinality(String) COMMENT 'Name of the statistic.',
    model_id LowCardinality(String) COMMENT 'Model that it is about; empty when none.',
    graph_type LowCardinality(String) COMMENT 'MATRIX, BARGRAPH, GENERAL_GRAPH, HEATMAP, HISTOGRAM, OPAQUE, HTML, …',
    mode LowCardinality(String) COMMENT 'INSTANT or TIME_SERIES.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels.',
    content_type LowCardinality(String) COMMENT 'Media type of data: application/json, text/html or application/octet-stream.',
    data String COMMENT 'Payload as reported; JSON where possible.',
    `histograms.feature` Array(String) COMMENT 'Features whose distribution it holds; empty unless it is a set of histograms.',
    `histograms.kind` Array(String) COMMENT 'continuous or categorical, for each feature.',
    `histograms.edges` Array(Array(Float64)) COMMENT 'Bin edges of each feature, ascending, one more than weights; empty when categorical.',
    `histograms.categories` Array(Array(String)) COMMENT 'Categories of each feature; empty when continuous.',
    `histograms.weights` Array(Array(Float64)) COMMENT 'Share of the present values in each bin of each feature.',
    `histograms.row_count` Array(Int64) COMMENT 'Rows that each distribution describes, including those with a missing value; 0 when unknown.',
    `histograms.missing_count` Array(Int64) COMMENT 'Rows whose value is missing, for each feature.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (mlapp_id, name, node_id, event_time)
TTL toDateTime(ingested_at) + INTERVAL 730 DAY
SETTINGS ttl_only_drop_parts = 1, ${insert_settings}
COMMENT 'Tables, graphs, histograms and other statistics that are not a single number: one row a report.';

CREATE TABLE IF NOT EXISTS histograms ${on_cluster}
(
    mlapp_id LowCardinality(String) COMMENT 'MLApp.',
    node_id LowCardinality(String) COMMENT 'Node of the MLApp; empty when unknown.',
    pipeline_instance_id LowCardinality(String) COMMENT 'Pipeline instance; empty when unknown.',
    agent_id LowCardinality(String) COMMENT 'Host on which the component ran.',
    event_time DateTime64(3, 'UTC') COMMENT 'Event time.',
    name LowCardinality(String) COMMENT 'Name of the statistic that holds the histogram: continuousDataHistogram, PredictionHistogram, …',
    model_id LowCardinality(String) COMMENT 'Model that it is about; empty when none.',
    labels Map(LowCardinality(String), String) COMMENT 'Labels.',
    feature LowCardinality(String) COMMENT 'Feature (column) whose distribution it is.',
    kind LowCardinality(String) COMMENT 'continuous: bins by edges; categorical: bins by categories.',
    edges Array(Float64) COMMENT 'Bin edges, ascending, one more than weights, infinities allowed; empty when categorical.',
    categories Array(String) COMMENT 'Category of each bin; empty when continuous.',
    weights Array(Float64) COMMENT 'Share of the present values in each bin; sums to less than 1 when some values are in no bin.',
    row_count Int64 COMMENT 'Rows that the distribution describes, including those with a missing value; 0 when unknown.',
    missing_count Int64 COMMENT 'Rows among them whose value is missing.',
    ingested_at DateTime64(3, 'UTC') COMMENT 'When Kafka took the record (LogAppendTime).' CODEC(Delta, ZSTD(1)),
    _topic LowCardinality(String) COMMENT 'Lineage: Kafka topic.',
    _topic_id LowCardinality(String) COMMENT 'Lineage: Kafka topic id; a recreated topic has another.',
    _partition Int32 COMMENT 'Lineage: Kafka partition.',
    _offset Int64 COMMENT 'Lineage: Kafka offset.',
    _index UInt32 COMMENT 'Lineage: number of the histogram in its record, from 0.',
    INDEX event_time_range event_time TYPE minmax GRANULARITY 1
)
ENGINE = ${replicated}MergeTree
PARTITION BY toYYYYMM(ingested_at)
ORDER BY (mlapp_id, name, feature, node_id, event_time)
TTL toDateTime(ingested_at) + INTERVAL 730 DAY
SETTINGS ttl_only_drop_parts = 1, ${insert_settings}
COMMENT 'Distributions of features and predictions: one row a feature and report.';

CREATE MATERIALIZED VIEW IF NOT EXISTS histograms_from_structured_statistics ${on_cluster} TO histograms AS
SELECT
    mlapp_id,
    node_id,
    pipeline_instance_id,
    agent_id,
    event_time,
    name,
    model_id,
    labels,
    histogram_feature AS feature,
    histogram_kind AS kind,
    histogram_edges AS edges,
    histogram_categories AS categories,
    histogram_weights AS weights,
    histogram_row_count AS row_count,
    histogram_missing_count AS missing_count,
    ingested_at,
    _topic,
    _topic_id,
    _partition,
    _offset,
    toUInt32(histogram_number - 1) AS _index
FROM structured_statistics
ARRAY JOIN
    histograms.feature AS histogram_feature,
    histograms.kind AS histogram_kind,
    histograms.edges AS histogram_edges,
    histograms.categories AS histogram_categories,
    histograms.weights AS histogram_weights,
    histograms.row_count AS histogram_row_count,
    histograms.missing_count AS histogram_missing_count,
    arrayEnumerate(histograms.feature) AS histogram_number
COMMENT 'Gives each histogram of a structured statistic a row of its own.';
