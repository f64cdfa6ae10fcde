"""Who people are to the service: accounts, sessions, one-time tokens, and what has been revoked."""
