"""The report: figures, charts, one HTML page."""
