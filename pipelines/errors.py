"""What can go wrong, and the exit code each tells a scheduler (docs: exit codes).

A message is written for its reader: what is wrong, where, what to do, and that
nothing was lost. It never contains a token.
"""

from __future__ import annotations


class HubsyncError(Exception):
    """The run failed; nothing was published."""

    exit_code = 1


class ConfigurationError(HubsyncError):
    """Usage or configuration: only a person can mend it."""

    exit_code = 2


class PortalUnavailable(HubsyncError):
    """HubSpot could not be read to the end; running again later will."""


class DatabaseUnavailable(HubsyncError):
    """The database failed, not what was asked of it; the run can be repeated."""


class ConsistencyError(HubsyncError):
    """A consistency test failed; nothing was published."""

    exit_code = 4


class AlreadyRunning(HubsyncError):
    """Another sync holds the lock of this database."""

    exit_code = 75
