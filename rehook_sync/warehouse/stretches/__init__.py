"""Stretches of time in a window: how they look, and which of them have to be read."""
