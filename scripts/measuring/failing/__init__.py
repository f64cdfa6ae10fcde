"""What becomes of clients' work when MongoDB's primary goes: traffic, faults, and the judgement of both."""
