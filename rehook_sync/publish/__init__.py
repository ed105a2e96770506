"""A copy of the sync-state for analysts, in a schema of a warehouse: never read for a decision."""
