"""Deliver Segment's identifies and tracks from a warehouse to Rehook, each call once."""

__version__ = "0.1.0"
