"""A service under mixed load and faults for a while, watched for what it does not give back."""
