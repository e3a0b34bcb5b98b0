"""Named errors, one class per cause.

Every message is one line: what happened, then what to do. The command line prints it without
a traceback and exits with `exit_code`: 1 failed, 2 bad input, 75 locked by another process.
"""


class LakehouseError(Exception):
    """Base of every error that a user is meant to read."""

    exit_code = 1


class ConfigError(LakehouseError):
    """A settings file is missing, malformed, or holds an unknown key or a wrong type."""

    exit_code = 2


class RegistryError(LakehouseError):
    """The tables do not fit together: unknown input, cycle, duplicate name, key not in schema."""

    exit_code = 2


class ViewError(LakehouseError):
    """A gold view's SQL does not parse or names what does not exist."""

    exit_code = 2


class QueryError(LakehouseError):
    """A user's query is not one read-only SELECT over known tables."""

    exit_code = 2


class QueryTimeoutError(LakehouseError):
    """A user's query took longer than it may."""


class MappingError(LakehouseError):
    """A mapping file does not fit the file it maps."""

    exit_code = 2


class CorrectionError(LakehouseError):
    """A file of corrections is malformed, or names what is not in quarantine."""

    exit_code = 2


class BundleError(LakehouseError):
    """databricks.yml or a file it includes is malformed or refers to what does not exist."""

    exit_code = 2


class NotebookError(LakehouseError):
    """A notebook is malformed or one of its cells failed."""


class JavaError(LakehouseError):
    """Java is missing or of the wrong version."""


class DownloadError(LakehouseError):
    """A package that is needed once could not be downloaded."""


class JarError(LakehouseError):
    """A jar is not the one that conf/jars.sha256 lists."""


class BrokerError(LakehouseError):
    """The Kafka broker could not start, died, or cannot be reached."""


class SourceError(LakehouseError):
    """A source cannot be read without losing or repeating events."""


class LakeError(LakehouseError):
    """The lake cannot be used: another version, not a lake, or a table is missing."""


class LockedError(LakehouseError):
    """Another process is writing to the same table."""

    exit_code = 75


class ConflictError(LakehouseError):
    """Other writers' commits to a table spoiled one of ours, however often it was tried."""


class StorageError(LakehouseError):
    """The service that keeps the lake cannot be reached or refuses."""


class DiskFullError(LakehouseError):
    """No space is left where the lake stands."""


class CheckError(LakehouseError):
    """The lake does not hold what it must hold."""


class ModelError(LakehouseError):
    """A model is missing, or there is too little data to train one."""


class StoreError(LakehouseError):
    """The online store cannot be read or written."""
