"""Databricks as a warehouse, with the real connector over Spark SQL. In a virtual environment of its own: `make nightly-warehouses`."""
