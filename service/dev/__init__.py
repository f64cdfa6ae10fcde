"""For development: the private MongoDB, and what `sheaf dev` prepares and says."""
