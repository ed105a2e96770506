"""What a run says beside its counts: what it found in rows, names and reads, and the notes that tell of it."""
