"""Who somebody is: what all ways to sign in share (`core`), and one package for each way.

`passwords`, `second_factor`, `oidc` and `api_keys` are the ways, `users` is what administrators do with
accounts. Each of them imports `core` and none of the others; what other rooms may use of one is what its
`__init__` names.
"""
