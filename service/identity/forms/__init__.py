"""The forms that identity endpoints read."""
