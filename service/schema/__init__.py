"""JSON Schema: check, compile, validate, infer."""

from service.schema.check import check
from service.schema.classes import document_class, model_violations, of_model
from service.schema.compile import Schema, compile  # noqa: A004  # read as schema.compile

__all__ = [
    "Schema",
    "check",
    "compile",
    "document_class",
    "model_violations",
    "of_model",
]
