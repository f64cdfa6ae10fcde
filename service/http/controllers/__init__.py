"""HTTP: one controller per noun, a handler is a few lines."""
