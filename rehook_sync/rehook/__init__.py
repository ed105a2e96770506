"""Rehook's API: requests, answers, connections."""
