"""Alembic's entry: runs the revisions on the connection it is given, inside the caller's transaction."""

from alembic import context

from broker.database import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=False,  # the caller's transaction covers all of it
    transaction_per_migration=False,
)
context.run_migrations()
