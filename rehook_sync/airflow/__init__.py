"""Rehook in Airflow: a provider with a connection, a hook and operators. This file imports nothing; every `import airflow` loads it."""
