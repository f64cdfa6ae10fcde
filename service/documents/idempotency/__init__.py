"""`Idempotency-Key`: a request that is repeated has one effect, and its first answer each time."""
