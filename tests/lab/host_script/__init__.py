"""Tests: the scripts that run on a node, on a real host."""
