"""The log of slow queries: what took long, how MongoDB ran it, and the index that would serve it."""
