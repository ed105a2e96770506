"""A stand-in for Snowflake: the server of fakesnow, over DuckDB, in a virtual environment of its own, for the real connector."""
