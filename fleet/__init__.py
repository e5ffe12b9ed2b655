"""Looks at a whole stack from the operator's machine, without Pulumi: hosts, cluster, graph."""
