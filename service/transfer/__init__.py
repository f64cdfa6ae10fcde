"""Files in and out: reading documents from JSON, NDJSON and CSV."""
