"""What every request passes through: one file each, ordered in app.py."""
