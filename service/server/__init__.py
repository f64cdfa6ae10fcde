"""Runs the service: worker processes behind one address, their replacement, the drain."""

from service.server.address import Address, find
from service.server.connections import Connections
from service.server.scraping import Scraping
from service.server.supervisor import run

__all__ = ["Address", "Connections", "Scraping", "find", "run"]
