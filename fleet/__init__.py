"""Read-only looks at all hosts of a stack at once, from the operator's machine, without Pulumi."""
