"""What Airflow reads about this provider at its start. It imports nothing, since every `import airflow` loads it."""

__all__ = ["get_provider_info"]

_FORM = {
    "rate_limit": {
        "label": "Requests per second",
        "description": "Most requests per second, over all shards of a run together; empty: no limit",
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
    },
    "concurrency": {
        "label": "Requests at once",
        "description": "Most requests in flight, over all shards of a run together; empty: 64",
        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 1000},
    },
}


def get_provider_info() -> dict[str, object]:
    """Return the provider's description by Airflow's `provider_info.schema.json`."""
    return {
        "package-name": "rehook-sync",  # the name of the distribution, or Airflow refuses to start
        "name": "Rehook",
        "description": "Delivers Segment's identifies and tracks from a warehouse to Rehook, each call once.",
        "integrations": [{"integration-name": "Rehook", "external-doc-url": "https://docs.rehook.ai", "tags": ["service"]}],
        "hooks": [{"integration-name": "Rehook", "python-modules": ["rehook_sync.airflow.hook"]}],
        "operators": [{"integration-name": "Rehook", "python-modules": ["rehook_sync.airflow.operators", "rehook_sync.airflow.attention"]}],
        "connection-types": [
            {
                "connection-type": "rehook",
                "hook-class-name": "rehook_sync.airflow.hook.RehookHook",
                "hook-name": "Rehook",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "port"],
                    "relabeling": {"host": "API URL", "login": "API key", "password": "API secret"},
                    "placeholders": {"host": "https://api.rehook.ai", "login": "your-key", "password": "your-secret"},
                },
                "conn-fields": _FORM,
            }
        ],
        "notifications": ["rehook_sync.airflow.notifications.notifier.RehookNotifier"],
        "extra-links": ["rehook_sync.airflow.links.RunReportLink"],
        "asset-uris": [{"schemes": ["rehook"], "handler": "rehook_sync.airflow.assets.sanitize_uri"}],
    }
