"""What every way to sign in shares: tokens, signing keys, password hashes, browser mode."""
