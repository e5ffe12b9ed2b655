"""The workload and Service that nodes are tried with: their names, and whose pods they are."""

NAMESPACE = "kube-nodes"
NAME = "service-check"
LABELS = {"app.kubernetes.io/name": "kube-nodes-service-check"}
