"""The sync-state tables: what became of each call, and who may write it."""
