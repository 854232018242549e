WITH
    (
        SELECT JSONExtractFloat(rules.parameters_json[indexOf(rules.statistic, 'quality.auc')], 'threshold')
        FROM mlapps_current
        WHERE mlapp_id = 'flight-delays'
    ) AS threshold
SELECT sample.event_time AS day, replaceOne(model.name, 'late arrivals ', '') AS model, sample.value AS value, threshold
FROM statistics AS sample
INNER JOIN models AS model ON model.mlapp_id = sample.mlapp_id AND model.model_id = sample.model_id
WHERE sample.mlapp_id = 'flight-delays' AND sample.node_id = 'predict' AND sample.name = 'quality.auc' AND sample.labels['by'] = 'week'
ORDER BY day, sample.ingested_at
