"""The copy of the sync-state for analysts, as the sync-state knows it: what it still lacks, and the rows for it."""
