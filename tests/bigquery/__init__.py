"""Tests that need Google's client: they run in an environment of their own."""
