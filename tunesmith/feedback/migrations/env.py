"""Run by alembic: bring the store behind the connection that `opening.py` hands over to the latest layout, in that connection's transaction."""

from alembic import context

from tunesmith.feedback.tables import METADATA, VERSION_TABLE

__all__: list[str] = []

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
    transactional_ddl=True,  # SQLite can, where the driver does not end transactions by itself
)
with context.begin_transaction():
    context.run_migrations()
