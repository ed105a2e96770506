"""Rehook's API: what is sent, what its answers mean, and the connections between."""
