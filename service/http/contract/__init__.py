"""The live contract: OpenAPI 3.1 of all that a caller may do, from the collections as they are now."""

from service.http.contract.assembly import VERSION, Contract, Contracts, Fixed, assemble, fragment, visible

__all__ = ["VERSION", "Contract", "Contracts", "Fixed", "assemble", "fragment", "visible"]
