"""Saved queries: named, parameterised aggregation pipelines of a definition, in a language of Sheaf's own."""
