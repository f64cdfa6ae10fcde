"""Sign-in with OpenID Connect: providers, their keys and tokens, and the accounts of whom they speak for."""
