"""Every error that this package raises on purpose, grouped by what the caller does next.

RehookSyncError
├── ConfigurationError        fix the call or the settings, then run again      (exit 2)
│   ├── UsageError            an argument or a parameter
│   ├── SettingsError         a setting: missing, unknown or unusable
│   ├── SourceError           the warehouse is not as Segment lays it out, or cannot be read
│   └── StateVersionError     the sync-state tables are missing, older or newer than this code
├── StoppedError              nothing wrong with the rows; run again later      (exit 4)
│   ├── CredentialsRefusedError
│   └── ApiDownError          carries `retry_after_s` when the API said when to come back
├── LeaseHeldError            another run is at work                            (exit 5)
└── OperationalError          look at the machine, then run again               (exit 1)
    ├── DatabaseError         a statement failed: connection lost, disk full, locked
    │   ├── ConflictError     another writer was there first; read again and decide anew
    │   ├── LockedError       somebody else kept what was to be read or written locked for too long
    │   ├── TransientError    the server ended a statement or a connection; the same again may succeed
    │   └── AlteredError      a table of the warehouse was altered while it was read; read it again
    ├── LeaseLostError        another run took over; this one may record nothing
    ├── RunUnfinishedError    some shards of a run have not ended; deliver them again
    └── InternalError         a bug of ours

A message is one line per problem: what, where, what to do. None holds a secret or a row's values.
Airflow pickles errors, so all survive pickling.
"""

__all__ = [
    "AlteredError",
    "ApiDownError",
    "ConfigurationError",
    "ConflictError",
    "CredentialsRefusedError",
    "DatabaseError",
    "InternalError",
    "LeaseHeldError",
    "LeaseLostError",
    "LockedError",
    "OperationalError",
    "RehookSyncError",
    "RunUnfinishedError",
    "SettingsError",
    "SourceError",
    "StateVersionError",
    "StoppedError",
    "TransientError",
    "UsageError",
]


class RehookSyncError(Exception):
    """The root of the tree."""

    exit_code = 1


class ConfigurationError(RehookSyncError):
    """The call, the settings or the databases must change before the next attempt."""

    exit_code = 2


class UsageError(ConfigurationError):
    """An argument or a parameter is wrong."""


class SettingsError(ConfigurationError):
    """Settings are missing, unknown or unusable; one line for each."""


class SourceError(ConfigurationError):
    """The warehouse cannot be reached, or is not laid out as Segment does it."""


class StateVersionError(ConfigurationError):
    """The sync-state tables are missing, or of another version than this code."""


class StoppedError(RehookSyncError):
    """The run stopped for a cause outside the rows."""

    exit_code = 4


class CredentialsRefusedError(StoppedError):
    """Rehook refused the API key and secret, or the address is not Rehook's."""


class ApiDownError(StoppedError):
    """The API does not answer, or asked for a longer wait than `patience` allows."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        """Keep the wait that the API asked for."""
        super().__init__(message, retry_after_s)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        """Return the message alone."""
        return str(self.args[0])


class LeaseHeldError(RehookSyncError):
    """Another run holds the lease."""

    exit_code = 5


class OperationalError(RehookSyncError):
    """Something around the job failed; what was received is recorded or in doubt."""


class DatabaseError(OperationalError):
    """A database statement failed after the connection had worked."""


class ConflictError(DatabaseError):
    """Another writer was first; what was read no longer holds."""


class LockedError(DatabaseError):
    """A lock of somebody else's was waited for, and did not go."""


class TransientError(DatabaseError):
    """A statement or a connection was ended by the server or the network, for no fault of the statement."""


class AlteredError(DatabaseError):
    """A table of the warehouse was altered while it was read."""


class LeaseLostError(OperationalError):
    """Another run has the lease; this one may record nothing more."""


class RunUnfinishedError(OperationalError):
    """Some shards have not ended, or their process died; they can be delivered again."""


class InternalError(OperationalError):
    """A bug of ours: an invariant does not hold."""
