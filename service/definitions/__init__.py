"""What describes a collection: its name, schema, rules, indexes and options, and how they change."""
