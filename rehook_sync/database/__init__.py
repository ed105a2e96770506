"""Engines, named SQL and cursors: what speaks to any database."""
