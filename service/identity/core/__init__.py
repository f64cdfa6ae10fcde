"""What every way to sign in shares: accounts, sessions, tokens, revocations, lockout, proofs."""
