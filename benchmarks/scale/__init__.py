"""A large fleet through the real engine: simulated hosts and kubelets, a real API server."""
