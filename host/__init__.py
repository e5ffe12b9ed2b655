"""The constant shell that runs on a node, as package data."""
