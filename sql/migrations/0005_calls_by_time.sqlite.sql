-- A run that finds nothing new looks at what it knows of the last days alone, however long the history is.

CREATE INDEX sync_state_by_time ON sync_state (stream, received_at, message_id);
