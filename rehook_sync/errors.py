"""Every error this package raises on purpose, grouped by what the caller does next.

RehookSyncError
├── ConfigurationError        fix the call or the settings, then run again      (exit 2)
│   ├── UsageError            a command line argument
│   ├── SettingsError         a setting: missing, unknown or unusable
│   ├── SourceError           the warehouse is not as Segment lays it out, or cannot be read
│   └── StateVersionError     the sync-state tables are missing, older or newer than this code
├── StoppedError              nothing wrong with the rows; run again later      (exit 4)
│   ├── CredentialsRefusedError
│   └── ApiDownError          carries `retry_after_s` when the API said when to come back
├── LeaseHeldError            another run is at work                            (exit 5)
└── OperationalError          look at the machine, then run again               (exit 1)
    ├── DatabaseError         a statement failed: connection lost, disk full, locked
    │   └── ConflictError     another writer was there first; read again and decide anew
    ├── LeaseLostError        another run took over; this one may record nothing
    ├── RunUnfinishedError    a run in shards of which some have not ended; deliver these again
    └── InternalError         a bug of ours

Each message is one line: what, where, what to do. None carries a secret or a row's values.
All of them survive pickling, as Airflow needs.
"""

__all__ = [
    "ApiDownError",
    "ConfigurationError",
    "ConflictError",
    "CredentialsRefusedError",
    "DatabaseError",
    "InternalError",
    "LeaseHeldError",
    "LeaseLostError",
    "OperationalError",
    "RehookSyncError",
    "RunUnfinishedError",
    "SettingsError",
    "SourceError",
    "StateVersionError",
    "StoppedError",
    "UsageError",
]


class RehookSyncError(Exception):
    """The root: `except RehookSyncError` catches all that this package raises on purpose."""

    exit_code = 1


class ConfigurationError(RehookSyncError):
    """The call or the settings must change before a new attempt makes sense."""

    exit_code = 2


class UsageError(ConfigurationError):
    """A command line argument is wrong."""


class SettingsError(ConfigurationError):
    """One or more settings are missing, unknown or unusable; one line for each."""


class SourceError(ConfigurationError):
    """The warehouse cannot be reached or is not laid out as Segment does it."""


class StateVersionError(ConfigurationError):
    """The sync-state tables are missing, or of another version than this code."""


class StoppedError(RehookSyncError):
    """The run stopped for a cause that is not the rows' fault."""

    exit_code = 4


class CredentialsRefusedError(StoppedError):
    """Rehook refused the API key and secret, or the address is not Rehook's."""


class ApiDownError(StoppedError):
    """The API does not answer, or asked for more patience than the run has."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        """Keep the seconds after which the API asked to be called again."""
        super().__init__(message, retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        """Give the message alone."""
        return str(self.args[0])


class LeaseHeldError(RehookSyncError):
    """Another run holds the lease."""

    exit_code = 5


class OperationalError(RehookSyncError):
    """Something around the job failed; what was received is recorded or in doubt."""


class DatabaseError(OperationalError):
    """A database statement failed after the connection had worked."""


class ConflictError(DatabaseError):
    """Another writer was there first; what was read before no longer holds."""


class LeaseLostError(OperationalError):
    """The lease passed to another run; nothing may be recorded any more."""


class RunUnfinishedError(OperationalError):
    """Parts of a run have not ended, or their process died; they can be delivered again."""


class InternalError(OperationalError):
    """A bug of ours: an invariant does not hold."""
