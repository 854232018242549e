WITH
    (
        SELECT JSONExtractFloat(rules.parameters_json[indexOf(rules.statistic, 'ROC AUC Score')], 'threshold')
        FROM mlapps_current
        WHERE mlapp_id = 'flight-delays'
    ) AS threshold
SELECT sample.event_time AS day, replaceOne(model.name, 'late arrivals ', '') AS model, sample.value AS value, threshold
FROM statistics AS sample
INNER JOIN deployments_current AS deployment
    ON deployment.mlapp_id = sample.mlapp_id AND deployment.node_id = sample.node_id
INNER JOIN models AS model ON model.mlapp_id = deployment.mlapp_id AND model.model_id = deployment.model_id
WHERE sample.mlapp_id = 'flight-delays' AND sample.node_id = 'predict' AND sample.name = 'ROC AUC Score'
    AND sample.event_time >= deployment.live_from
    AND sample.event_time < ifNull(deployment.live_to, toDateTime64('2100-01-01', 3, 'UTC'))
ORDER BY day
