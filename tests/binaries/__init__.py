"""Tests that ask the real kubelet and kube-proxy."""
