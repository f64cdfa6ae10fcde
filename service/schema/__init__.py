"""JSON Schema: check, compile, validate, infer."""

from service.schema.check import check
from service.schema.compile import Schema, compile  # noqa: A004  # read as schema.compile
from service.schema.document_class import document_class
from service.schema.models import model_violations, of_model

__all__ = [
    "Schema",
    "check",
    "compile",
    "document_class",
    "model_violations",
    "of_model",
]
