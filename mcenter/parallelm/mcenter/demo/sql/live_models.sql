WITH
    live AS
    (
        SELECT
            replaceOne(model.name, 'late arrivals ', '') AS model,
            model.model_id AS model_id,
            model.node_id AS trained_on,
            model.event_time AS trained_at,
            deployment.node_id AS node_id,
            deployment.live_from AS live_from,
            ifNull(deployment.live_to, toDateTime64('2100-01-01', 3, 'UTC')) AS live_to
        FROM deployments_current AS deployment
        INNER JOIN models AS model ON model.mlapp_id = deployment.mlapp_id AND model.model_id = deployment.model_id
        WHERE deployment.mlapp_id = 'flight-delays' AND deployment.node_id = 'predict' AND deployment.live_from IS NOT NULL
    ),
    trained AS
    (
        SELECT model, anyIf(value, name = 'ROC AUC Score') AS held_out_auc
        FROM live
        INNER JOIN statistics ON statistics.node_id = live.trained_on AND statistics.event_time = live.trained_at
        WHERE statistics.mlapp_id = 'flight-delays'
        GROUP BY model
    ),
    predicted AS
    (
        SELECT
            model,
            toUInt64(sumIf(value, name = 'pipelinestat.count')) AS flights,
            avgIf(value, name = 'share predicted late') AS predicted_late,
            minIf(value, endsWith(name, 'overlapResult') AND labels['line'] = 'overlapScore_temp') AS temp_similarity
        FROM live
        INNER JOIN statistics ON statistics.node_id = live.node_id
        WHERE statistics.mlapp_id = 'flight-delays'
            AND statistics.event_time >= live.live_from AND statistics.event_time < live.live_to
        GROUP BY model
    ),
    judged AS
    (
        SELECT model, avgIf(value, name = 'quality.auc') AS auc, avgIf(value, name = 'quality.accuracy') AS accuracy
        FROM live
        INNER JOIN statistics ON statistics.node_id = live.node_id AND statistics.model_id = live.model_id
        WHERE statistics.mlapp_id = 'flight-delays' AND labels['by'] = 'week'
        GROUP BY model
    ),
    business AS
    (
        SELECT model, avg(value) AS on_time_rate
        FROM live
        CROSS JOIN kpis_current
        WHERE mlapp_id = 'flight-delays' AND name = 'on-time rate'
            AND event_time >= live_from AND event_time < live_to
        GROUP BY model
    )
SELECT model, flights, held_out_auc, auc, accuracy, predicted_late, temp_similarity, on_time_rate
FROM predicted
INNER JOIN trained USING (model)
LEFT JOIN judged USING (model)
INNER JOIN business USING (model)
ORDER BY model
