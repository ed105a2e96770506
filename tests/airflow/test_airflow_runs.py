"""Whole runs of the DAG, in this process: what Airflow shows is what became of the rows."""

import airflow_home
from airflow_home import AirflowShop

airflow_database, airflow_shop = airflow_home.airflow_database, airflow_home.airflow_shop


def test_a_run_delivers_everything_in_shards(airflow_shop: AirflowShop) -> None:
    ended = airflow_shop.run(shards=3)
    print(ended)
    assert ended.state == "success"
    assert ended.states("deliver") == {"success": 3}
    airflow_shop.check()
