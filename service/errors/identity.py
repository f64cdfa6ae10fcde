"""Failures of identity: signing in, sessions, keys, second factors."""
