"""Tests of the read-only looks at all hosts of a stack."""
