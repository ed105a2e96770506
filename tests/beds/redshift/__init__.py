"""A stand-in for Redshift: PostgreSQL behind a proxy that greets as Redshift does, and lists and names types as Redshift does."""
