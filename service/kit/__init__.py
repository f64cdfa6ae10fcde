"""What has no subject of its own and is used by several rooms: errors, strict JSON, sealing, forms."""
