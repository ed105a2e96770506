"""What `check` looks at, one after another: settings, warehouse, state, credentials."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rehook_sync.delivery.outcomes import stop_reason
from rehook_sync.errors import RehookSyncError, SourceError
from rehook_sync.jobs.notes.names import NamesCheck
from rehook_sync.models import Answer, Effect
from rehook_sync.warehouse.layout import SourceLayout

__all__ = ["CheckResult", "check_each"]


class Checkable(Protocol):
    """What `check` needs of a job."""

    def discover(self) -> Mapping[str, SourceLayout]:
        """Return what each Segment source looks like."""

    def estimate(self) -> tuple[int, int] | None:
        """Return how many bytes of the warehouse a run scans with nothing new, and if it reads its whole lookback; None: nobody says."""

    def check_names(self) -> NamesCheck:
        """Return what the names in the settings match in the source."""

    def read_version(self) -> int:
        """Return the version of the sync-state tables. Raises StateVersionError when they are missing or of another version."""

    def read_durability(self) -> list[str]:
        """Return what may make the sync-state's server forget what it has committed."""

    def check_destination(self) -> None:
        """Raise SettingsError when the sync-state tables belong to another Rehook than the settings lead to."""

    def check_credentials(self) -> Answer:
        """Ask Rehook whether the credentials are good."""

    def check_publication(self) -> str | None:
        """Return where the copy for analysts is, None when there is to be none. Raises SettingsError when it cannot be there."""

    def check_notifiers(self) -> list[str]:
        """Return who would be told of runs. Raises SettingsError when one of them cannot be."""


@dataclass(slots=True)
class CheckResult:
    """What `check` found. An item that was not looked at has neither a finding nor an error.

    Shape:  scans: as `Checkable.estimate`.
            warnings: what may make the sync-state's server forget what it has committed.
            told: who would be told of runs.  copy: where that for analysts is.
            errors: settings, warehouse, state, rehook, notify or publish -> what is wrong with it.
    """

    settings: Mapping[str, str] | None = None
    layouts: Mapping[str, SourceLayout] | None = None
    names: NamesCheck | None = None
    scans: tuple[int, int] | None = None
    version: int | None = None
    warnings: list[str] = field(default_factory=list)
    answer: Answer | None = None
    told: list[str] | None = None
    copy: str | None = None
    errors: dict[str, RehookSyncError] = field(default_factory=dict)

    @property
    def first_error(self) -> RehookSyncError | None:
        """Return the first problem, None when all is well."""
        return next(iter(self.errors.values()), None)

    def look_at(self, name: str, look: Callable[[], None]) -> None:
        """Look at one item and keep its error."""
        try:
            look()
        except RehookSyncError as error:
            self.errors[name] = error

    def is_good(self, name: str) -> bool | None:
        """Tell whether an item is in order; None when it was not looked at."""
        items = {"settings": self.settings, "warehouse": self.layouts, "state": self.version, "rehook": self.answer}
        found = {**items, "notify": self.told, "publish": self.copy}[name]
        return False if name in self.errors else None if found is None else True


def check_each(job: Checkable, found: CheckResult) -> None:
    """Look at warehouse, state and credentials, each even if another one fails. Writes nothing."""

    def look_at_warehouse() -> None:
        found.layouts = job.discover()
        found.names = job.check_names()
        found.scans = job.estimate()
        if unreadable := [line for layout in found.layouts.values() for line in layout.unreadable_lines]:
            raise SourceError("\n".join(unreadable))

    def look_at_state() -> None:
        found.version = job.read_version()
        found.warnings = job.read_durability()
        job.check_destination()

    def look_at_rehook() -> None:
        found.answer = job.check_credentials()
        if found.answer.effect is not Effect.ACCEPTED:
            raise stop_reason(found.answer)

    def look_at_notifiers() -> None:
        found.told = job.check_notifiers()

    def look_at_publication() -> None:
        found.copy = job.check_publication()

    found.look_at("warehouse", look_at_warehouse)
    found.look_at("state", look_at_state)
    found.look_at("rehook", look_at_rehook)
    found.look_at("notify", look_at_notifiers)
    found.look_at("publish", look_at_publication)
