"""Segment's tables in the warehouse: what is there, and its rows."""
