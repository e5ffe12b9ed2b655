"""Pure text: kubeconfigs, kubelet and kube-proxy configuration, units, host scripts."""
