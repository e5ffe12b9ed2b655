action=$1
node=n1
part=units
reapply=2
root=/var/lib/kubelet
units='containerd=0= kubelet=10=http://127.0.0.1:10248/healthz kube-proxy=2=http://127.0.0.1:10256/healthz'
wait=60
cluster=6f1c7b0e-2f0a-4d58-9a9d-0f4f1c3c2b11
generation=3
server=https://192.0.2.10:6443
use base record version programs units proxy_cleanup pods life
begin
binary /usr/local/bin/kube-proxy v1.24.2 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb kube-proxy https://files.example/kube-proxy
binary /usr/local/bin/kubelet v1.24.2 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa kubelet https://files.example/kubelet
life
dir /etc/kubernetes/manifests 0700
dir /var/lib/kube-proxy 0700
dir /var/lib/kubelet 0700
put /etc/containerd/config.toml 0644 containerd <<'END'
version = 2

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "registry.example/pause:3.10"
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/opt/cni/bin"
conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia.options]
BinaryName = "/usr/bin/nvidia-container-runtime"
SystemdCgroup = false
END
put /etc/kubernetes/pki/ca.crt 0644 'kubelet kube-proxy' <<'END'
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
ExecStart=/usr/local/bin/kube-proxy --config=/var/lib/kube-proxy/config.conf --v=4
Restart=always
RestartSec=5
LimitNOFILE=65536
InaccessiblePaths=-/var/lib/kubelet -/run/containerd -/run/dbus -/run/docker.sock -/run/systemd/private
ReadOnlyPaths=/proc/sys /sys/kernel -/run/systemd -/run/udev
ReadWritePaths=/proc/sys/net /run
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_MODULE
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
SystemCallFilter=@module
UMask=0077

[Install]
WantedBy=multi-user.target
END
put /etc/systemd/system/kubelet.service 0600 kubelet <<'END'
[Unit]
Description=kubelet: the Kubernetes node agent
Documentation=https://kubernetes.io/docs/concepts/architecture/#kubelet
Wants=network-online.target
After=network-online.target containerd.service
StartLimitIntervalSec=0

[Service]
ExecStart=/usr/local/bin/kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --config=/var/lib/kubelet/config.yaml --container-runtime-endpoint=unix:///run/other/containerd.sock --kubeconfig=/etc/kubernetes/kubelet.conf --node-ip=192.0.2.121 --pod-infra-container-image=registry.example/pause:3.10
Restart=always
RestartSec=5
CapabilityBoundingSet=~CAP_AUDIT_CONTROL CAP_AUDIT_READ CAP_BLOCK_SUSPEND CAP_SYS_BOOT CAP_SYS_PACCT CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_WAKE_ALARM
LockPersonality=yes
RestrictRealtime=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=~@clock @cpu-emulation @obsolete @raw-io @reboot @swap sethostname setdomainname

[Install]
WantedBy=multi-user.target
END
put /var/lib/kube-proxy/config.conf 0600 kube-proxy <<'END'
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 192.0.2.121
clientConnection:
  kubeconfig: /etc/kubernetes/proxy.conf
clusterCIDR: 10.200.0.0/16
conntrack:
  min: 0
healthzBindAddress: 0.0.0.0:10256
hostnameOverride: n1
kind: KubeProxyConfiguration
metricsBindAddress: 127.0.0.1:10249
mode: iptables
nodePortAddresses:
- 192.0.2.0/24
END
put /var/lib/kubelet/config.yaml 0600 kubelet <<'END'
apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
  webhook:
    enabled: true
  x509:
    clientCAFile: /etc/kubernetes/pki/ca.crt
authorization:
  mode: Webhook
cgroupDriver: cgroupfs
clusterDNS:
- 169.254.20.10
- 10.96.0.10
clusterDomain: lab.example
evictionHard:
  memory.available: 5%
  nodefs.available: 10%
  nodefs.inodesFree: 5%
  pid.available: 10%
failSwapOn: false
featureGates:
  DevicePlugins: true
  NodeSwap: true
kind: KubeletConfiguration
kubeReserved:
  cpu: 200m
  ephemeral-storage: 1Gi
  memory: 512Mi
logging:
  verbosity: 4
makeIPTablesUtilChains: true
maxPods: 50
podPidsLimit: 1024
readOnlyPort: 0
registerWithTaints:
- effect: NoSchedule
  key: kube-nodes/joining
reservedMemory:
- limits:
    memory: 1Gi
  numaNode: 0
rotateCertificates: true
serverTLSBootstrap: true
shutdownGracePeriod: 30s
staticPodPath: /etc/kubernetes/manifests
streamingConnectionIdleTimeout: 4h0m0s
systemReserved:
  cpu: 100m
  pid: '1000'
tlsCipherSuites:
- TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
END
finish
# end
