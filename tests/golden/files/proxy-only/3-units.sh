action=$1
node=n1
part=units
reapply=0
root=/var/lib/kubelet
units=kube-proxy=2=http://127.0.0.1:10256/healthz
wait=60
cluster=6f1c7b0e-2f0a-4d58-9a9d-0f4f1c3c2b11
generation=1
server=https://192.0.2.10:6443
use base record version programs units proxy_cleanup pods life
begin
binary /usr/local/bin/kube-proxy v1.37.2 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb kube-proxy https://files.example/kube-proxy
life
dir /var/lib/kube-proxy 0700
put /etc/kubernetes/pki/ca.crt 0644 kube-proxy <<'END'
-----BEGIN CERTIFICATE-----
MIIclusterca
-----END CERTIFICATE-----
END
put /etc/systemd/system/kube-proxy.service 0600 kube-proxy <<'END'
[Unit]
Description=kube-proxy: the Kubernetes network proxy
Documentation=https://kubernetes.io/docs/concepts/architecture/#kube-proxy
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/bin/kube-proxy --config=/var/lib/kube-proxy/config.conf
Restart=always
RestartSec=5
LimitNOFILE=65536
BindPaths=-/run/xtables.lock
BindReadOnlyPaths=-/run/systemd/resolve -/run/NetworkManager -/run/resolvconf
InaccessiblePaths=-/var/lib/kubelet
ReadOnlyPaths=/proc/sys /sys/kernel
ReadWritePaths=/proc/sys/net
TemporaryFileSystem=/run:ro
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
OOMScoreAdjust=-999
PrivateDevices=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectProc=invisible
ProtectSystem=strict
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=~@cpu-emulation @debug @mount @obsolete @privileged
UMask=0077

[Install]
WantedBy=multi-user.target
END
put /var/lib/kube-proxy/config.conf 0600 kube-proxy <<'END'
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 192.0.2.21
clientConnection:
  kubeconfig: /etc/kubernetes/proxy.conf
clusterCIDR: 10.200.0.0/16
healthzBindAddress: 0.0.0.0:10256
hostnameOverride: n1
kind: KubeProxyConfiguration
logging:
  verbosity: 2
metricsBindAddress: 127.0.0.1:10249
mode: nftables
END
finish
# end
