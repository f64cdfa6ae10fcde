"""Runs the service: worker processes behind one address, their replacement, the drain."""

from service.runtime.server.address import Address, find
from service.runtime.server.listening import Connections
from service.runtime.server.scraping import Scraping
from service.runtime.server.supervisor import run

__all__ = ["Address", "Connections", "Scraping", "find", "run"]
