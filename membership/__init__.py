"""What runs on the operator's machine against the Kubernetes API."""
