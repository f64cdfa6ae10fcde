"""Sheaf: a document-store API on MongoDB."""
