"""Serve the stand-in: `python -m lab.plugins.kubernetes <engine address>`."""

from lab.plugins.kubernetes.provider import KubernetesPlugin
from lab.plugins.serving import serve

if __name__ == "__main__":
    serve(KubernetesPlugin())
