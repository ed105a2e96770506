"""The link from a task in Airflow's grid to the report of its run."""

from typing import Any, ClassVar
from urllib.parse import quote

from rehook_sync.airflow.common.versions import conf  # first: says what an older Airflow lacks

# isort: split

from airflow.sdk import BaseOperatorLink

__all__ = ["RunReportLink"]


class RunReportLink(BaseOperatorLink):
    """Leads to the operator's `report_url`, else to what the finish task returned: the report as JSON."""

    name: ClassVar[str] = "Run report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ANN401 - Airflow's signature
        """Return the address. `report_url` may hold `{dag_id}` and `{run_id}`, both Airflow's."""
        places = {"dag_id": quote(ti_key.dag_id, safe=""), "run_id": quote(ti_key.run_id, safe="")}
        if operator.report_url:
            return str(operator.report_url).format(**places)
        base = conf.get("api", "base_url", fallback="").rstrip("/")
        return "{base}/dags/{dag_id}/runs/{run_id}/tasks/{task}/xcom".format(base=base, task=operator.find_report(), **places)
