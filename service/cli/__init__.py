"""The `sheaf` command: parse, call what the API calls, print."""
