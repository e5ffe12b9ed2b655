"""Pulumi component resources: one a file."""
