"""HTTP: all that knows Litestar: controllers, the pipeline, guards, the contract, problems."""
