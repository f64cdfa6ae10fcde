"""The engine: the only code that reads and writes documents."""
