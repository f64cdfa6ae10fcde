"""The query language: parse text or JSON, build MongoDB filters, match in memory."""
