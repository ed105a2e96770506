"""What Airflow calls to tell people; DAGs of users import it."""
