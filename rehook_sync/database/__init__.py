"""Engines, named SQL and cursors, for any database."""
