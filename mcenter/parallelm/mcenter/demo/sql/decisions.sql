WITH held_out AS
(
    SELECT model.model_id AS model_id, avg(sample.value) AS auc
    FROM models AS model
    INNER JOIN statistics AS sample ON sample.node_id = model.node_id AND sample.event_time = model.event_time
    WHERE model.mlapp_id = 'flight-delays' AND sample.mlapp_id = 'flight-delays' AND sample.name = 'ROC AUC Score'
    GROUP BY model_id
)
SELECT
    deployment.node_id AS node,
    replaceOne(model.name, 'late arrivals ', '') AS model,
    deployment.event_time AS at,
    deployment.state AS state,
    deployment.who AS who,
    deployment.reason AS why,
    held_out.auc AS held_out_auc,
    deployment.deployment_id AS deployment_id
FROM deployment_transitions AS deployment
INNER JOIN models AS model ON model.mlapp_id = deployment.mlapp_id AND model.model_id = deployment.model_id
INNER JOIN held_out ON held_out.model_id = deployment.model_id
WHERE deployment.mlapp_id = 'flight-delays' AND deployment.node_id IN ('predict', 'predict-jfk')
    AND (deployment.state IN ('canary', 'rolled_back', 'rejected', 'failed')
        OR deployment.state = 'requested'
        OR deployment.state = 'awaiting_approval')
ORDER BY deployment.node_id, deployment.ingested_at, deployment._offset
