"""Collections: their definitions, the registry, indexes, options and rule tests."""
