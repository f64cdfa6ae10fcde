"""Changes told to clients: what each has subscribed to, in order and without a gap."""
