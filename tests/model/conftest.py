"""Two sizes of the model tests: the quick one of every test run, and `--hypothesis-profile=nightly`."""

from hypothesis import HealthCheck, settings

_COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
settings.register_profile("nightly", max_examples=400, stateful_step_count=40, **_COMMON)  # type: ignore[arg-type]
