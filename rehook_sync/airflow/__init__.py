"""Rehook in Airflow: a provider with a connection, a hook and operators. It imports nothing, since every `import airflow` loads it."""
