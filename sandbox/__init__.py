"""A HubSpot portal on this machine, for development, the demo and tests."""

from sandbox.clock import Clock
from sandbox.faults import Faults
from sandbox.limits import Limits
from sandbox.portal import Portal
from sandbox.server import Server, serve

__all__ = ["Clock", "Faults", "Limits", "Portal", "Server", "serve"]
