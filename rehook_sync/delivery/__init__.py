"""Sending: operations in, outcomes out."""
