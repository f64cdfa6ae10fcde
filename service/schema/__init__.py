"""JSON Schema: check, compile, validate, infer."""
