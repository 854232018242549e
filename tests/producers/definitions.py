"""Records that others than components write, and components ask for."""

from __future__ import annotations

from parallelm.schemas.records import (
    DeploymentState,
    DeploymentTransition,
    MLAppDefinition,
    ModelPolicy,
    Node,
    Policy,
    RecordPosition,
)


def definition() -> MLAppDefinition:
    """MLApp ``app``, "Flights": node ``train`` "Training" and node ``predict`` "Prediction"."""

    def node(node_id: str, name: str) -> Node:
        return Node(
            node_id=node_id,
            name=name,
            type="model_producer",
            mode="offline",
            schedule="",
            parents=(),
            pipeline=f"{node_id}.py",
            consumes=(),
        )

    return MLAppDefinition(
        event_time_ms=1_700_000_000_000,
        mlapp_id="app",
        name="Flights",
        description="",
        version=1,
        applied_by="a person",
        nodes=(node("train", "Training"), node("predict", "Prediction")),
        policy=Policy(
            model_policy=ModelPolicy.MANUAL, health_threshold=0.2, canary_threshold=0.5, accept_timeout_ms=0
        ),
        rules=(),
        source_yaml="",
    )


def transition(model_id: str, state: DeploymentState, *, node_id: str = "predict") -> DeploymentTransition:
    """A step of a model's deployment to a node, as the processors decide it."""
    return DeploymentTransition(
        event_time_ms=1_700_000_000_000,
        decided_at_ms=1_700_000_000_000,
        transition_id=f"{model_id}-{node_id}-{state}",
        mlapp_id="app",
        node_id=node_id,
        model_id=model_id,
        deployment_id=f"{model_id}-{node_id}",
        state=state,
        previous_state=DeploymentState.UNKNOWN,
        policy=ModelPolicy.ALWAYS_UPDATE,
        reason="newest model",
        who="policy",
        related_model_id="",
        agent_id="",
        cause=RecordPosition(topic="mlops.models", partition=0, offset=0),
    )
