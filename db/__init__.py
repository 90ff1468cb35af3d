"""The database: models, sessions, queries and migrations in plain SQLAlchemy. Imports nothing of ours."""
