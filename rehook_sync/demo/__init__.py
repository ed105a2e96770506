"""A sample shop synced to the local Rehook."""
