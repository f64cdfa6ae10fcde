"""Storage: the way to MongoDB: connection, transactions, threads for calls, batching, pages, counters."""
