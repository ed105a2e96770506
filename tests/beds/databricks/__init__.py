"""A stand-in for a Databricks SQL warehouse: Spark SQL behind the connector's own Thrift service, for the real connector."""
