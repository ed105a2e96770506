"""What a run read and wrote, for OpenLineage, which need not be installed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rehook_sync.airflow.assets import count_assets
from rehook_sync.models import Stream

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from rehook_sync.sync import Sync

__all__ = ["describe", "sources"]

_NAMESPACE = "rehook"


def sources(sync: "Sync") -> list[tuple[str, str]]:
    """Return (namespace, name) of the tables read, as OpenLineage names datasets; without user and password."""
    url = urlsplit(sync.settings.warehouse_url.get_secret_value())
    backend = url.scheme.partition("+")[0]
    tables = [".".join(table.path) for layout in sync.discover().values() for table in layout.tables.values()]
    if not url.hostname:
        return [(backend, f"{url.path}.{table}") for table in tables]
    scheme = {"postgresql": "postgres"}.get(backend, backend)
    namespace = f"{scheme}://{url.hostname}:{url.port or 5432}" if backend == "postgresql" else f"{scheme}://{url.hostname}"
    return [(namespace, f"{url.path.strip('/')}.{table}") for table in tables]


def describe(tables: Sequence[tuple[str, str]], sent: Mapping[Stream, int]) -> "OperatorLineage":
    """Return inputs and outputs: an output for each asset that the calls in `sent` updated."""
    from airflow.providers.openlineage.extractors import OperatorLineage  # noqa: PLC0415 - an optional provider
    from openlineage.client.event_v2 import Dataset, OutputDataset  # noqa: PLC0415 - comes with it
    from openlineage.client.facet_v2 import output_statistics_output_dataset  # noqa: PLC0415 - comes with it

    outputs = [
        OutputDataset(
            namespace=_NAMESPACE,
            name=asset.uri.removeprefix(f"{_NAMESPACE}://"),
            outputFacets={"outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=count)},
        )
        for asset, count in count_assets(sent)
    ]
    return OperatorLineage(inputs=[Dataset(namespace=namespace, name=name) for namespace, name in tables], outputs=outputs)
