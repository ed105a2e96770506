"""The report: figures, runs over time, coverage, charts, one HTML page."""
