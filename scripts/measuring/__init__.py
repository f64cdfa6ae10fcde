"""Measures Sheaf: what a request costs, beside the limits of the same machine in the same run."""
