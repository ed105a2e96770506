"""BigQuery without a cloud: GoogleSQL's reference implementation behind BigQuery's REST API, on loopback."""
