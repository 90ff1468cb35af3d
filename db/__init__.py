"""The database: tables, transactions, queries and migrations in plain SQLAlchemy. Imports nothing of ours."""
