"""The start of the service, before it is there."""
