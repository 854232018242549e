"""Alembic's entry: migrates over the connection that ``database.migrate`` hands over."""

from __future__ import annotations

from alembic import context

from parallelm.server.accounts.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
