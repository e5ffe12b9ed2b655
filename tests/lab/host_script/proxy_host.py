"""kube-proxy alone on the script tests' host: a stand-in that leaves real rules, and the real one.

The stand-in writes the two things by which the script sees a mode's rules, and a mark that its
own build alone removes: it shows which program cleaned up.
"""

from __future__ import annotations

from dataclasses import dataclass

from kube_nodes.model.binaries import Binaries
from kube_nodes.model.nodes import Node as DeclaredNode
from kube_nodes.render.host_files import (
    render_node_credentials,
    render_node_preflight,
    render_node_units,
)
from kube_nodes.render.host_script import KUBE_PROXY, Binary, ServiceUnit
from kube_nodes.settings import Settings, parse_settings
from lab import artifacts, stack_config
from lab.pki import Authority
from lab.spec import SERVICE_CIDR
from tests.lab.host_script.script_host import (
    KUBE_PROXY_CONFIG,
    VERSION,
    Node,
    Run,
    ScriptHost,
)

_PROGRAM = """\
#!/bin/sh
# build {build}
[ "$1" != --version ] || {{ echo 'Kubernetes v1.37.2'; exit 0; }}
if [ "$1" = --cleanup ]; then
  echo "{build} $(cat {config})" >>/run/fake-cleanup
  for chain in KUBE-SERVICES KN-BUILD-{build}; do
    iptables -t nat -F $chain; iptables -t nat -X $chain
    nft delete table ip kube-proxy
  done 2>/dev/null
  exit 1
fi
if grep -q broken {config}; then
  {leave_rules}
  echo 'E1124 00:00:00.000000 1 run.go:72] "command failed" err="kube-proxy: broken" ' >&2
  exit 1
fi
{leave_rules}
mkdir -p /run/fake-kube-proxy
cp {config} /run/fake-kube-proxy/config
echo ok >/run/fake-kube-proxy/healthz
exec busybox httpd -f -p 127.0.0.1:10256 -h /run/fake-kube-proxy
"""
_LEAVE = """\
case $(cat {config}) in
*nftables*) nft add table ip kube-proxy ;;
*) iptables -t nat -N KUBE-SERVICES ;;
esac
iptables -t nat -N KN-BUILD-{build}"""
# The kubelet's own; kube-proxy makes the first one too, if it is missing, and leaves it there.
_KUBELETS_CHAINS = {"KUBE-FIREWALL", "KUBE-KUBELET-CANARY", "KUBE-IPTABLES-HINT"}
RULES = "iptables-save -t nat | grep -oE '^:(KUBE-SERVICES|KN-BUILD-[0-9]+)'; nft list tables"


@dataclass
class ProxyNode(Node):
    """A host with the stand-in for kube-proxy alone."""

    programs: tuple[ServiceUnit, ...] = (KUBE_PROXY,)

    def _binary(self, name: str) -> Binary:
        leave = _LEAVE.format(config=KUBE_PROXY_CONFIG, build=self.build)
        text = _PROGRAM.format(config=KUBE_PROXY_CONFIG, build=self.build, leave_rules=leave)
        url, sha256 = self.artifacts.put(f"proxy-{self.build}", text.encode())
        return Binary(
            path=f"/usr/local/bin/{name}",
            version=VERSION,
            sources=(url,),
            digest=sha256,
            restarts=(name,),
        )


def rules(host: ScriptHost) -> set[str]:
    """Name what the stand-in left in the kernel."""
    found = host.sh(RULES)
    names = {line.removeprefix(":") for line in found.splitlines() if line.startswith(":")}
    return names | ({"table kube-proxy"} if "table ip kube-proxy" in found else set())


def proxy_chains(saved: str) -> set[str]:
    """Name the chains of kube-proxy in what iptables-save prints."""
    names = {line.split()[0][1:] for line in saved.splitlines() if line.startswith(":KUBE-")}
    return names - _KUBELETS_CHAINS


@dataclass(frozen=True)
class RealProxy:
    """The real kube-proxy of the lab on its host, as a declared node of the role proxy-only."""

    host: ScriptHost

    def settings(self, **options: object) -> Settings:
        """Declare the host."""
        spec, host = self.host.spec, self.host.host
        own = {"address": host.address, "hostKey": host.host_key}
        conntrack = {"conntrack": {"maxPerCore": 0, "min": 0}}
        return parse_settings(
            {
                "server": spec.server,
                "caCertificate": spec.path("pki", "ca.crt").read_text(),
                "clusterUid": stack_config.cluster_uid(spec),
                "podCidrs": [spec.pod_cidr],
                "serviceCidrs": [SERVICE_CIDR],
                "pools": {"p": {"nodes": {host.name: own}}},
                "options": {
                    "role": "proxy-only",
                    "kubeProxyConfiguration": conntrack,
                    **options,
                },
            }
        )

    def preflight(self, **options: object) -> Run:
        """Look at the host for a node with these options."""
        settings = self.settings(**options)
        # With binaries to fetch none has to be there already; a look fetches nothing.
        programs = {
            name: {"url": f"https://files.example/{name}", "sha256": digit * 64}
            for name, digit in (("kubelet", "1"), ("kubeProxy", "2"))
        }
        binaries = Binaries.model_validate(programs)
        text = render_node_preflight(settings.cluster, settings.nodes[0], binaries)
        return self.host.run(text)

    def register(self) -> None:
        """Make the host's Node: without one, kube-proxy waits for half a minute at each start."""
        node = {"metadata": {"name": self.host.host.name}}
        address = [{"type": "InternalIP", "address": self.host.host.address}]
        status = {"status": {"addresses": address}}
        spec = self.host.spec
        stack_config.ask(spec, lambda api: api.create_node(node))
        stack_config.ask(spec, lambda api: api.patch_node_status(self.host.host.name, status))

    def forget(self) -> None:
        """Remove the host's Node."""
        stack_config.ask(self.host.spec, lambda api: api.delete_node(self.host.host.name))

    def give_credentials(self) -> None:
        """Write kube-proxy's kubeconfig, with a certificate of the lab's CA."""
        settings = self.settings()
        folder = self.host.spec.path("pki")
        Authority(folder, "ca").ensure_certificate("script-proxy", "system:kube-proxy")
        pair = [(folder / f"script-proxy.{end}").read_text() for end in ("crt", "key")]
        script = render_node_credentials(settings.cluster, settings.nodes[0], None, *pair)
        done = self.host.run(script)
        assert done.status == 0, done.err

    def units(self, **options: object) -> str:
        """Render the units script."""
        settings = self.settings(**options)
        node: DeclaredNode = settings.nodes[0]
        spec, version = self.host.spec, str(node.options.kubernetes_version)[1:]
        programs = {
            key: {
                "url": artifacts.url(spec, version, name),
                "sha256": artifacts.sha256(spec, version, name),
            }
            for key, name in (("kubelet", "kubelet"), ("kubeProxy", "kube-proxy"))
        }
        binaries = Binaries.model_validate(programs)
        return render_node_units(settings.cluster, node, binaries)

    def apply(self, **options: object) -> Run:
        """Put the node's kube-proxy in place."""
        done = self.host.run(self.units(**options))
        assert done.status == 0, done.err
        return done

    def remove(self) -> None:
        """Take it away again."""
        assert self.host.run(self.units(), "remove").status == 0

    def answer(self) -> str:
        """Ask the Service `kubernetes` from the host until it answers; the HTTP status."""
        url = f"https://{self.host.spec.service_ip}/readyz"
        ask = f"curl -sk -m 2 -o /dev/null -w '%{{http_code}}' {url}"
        return self.host.sh(
            f"for i in $(seq 50); do a=$({ask}) && break; sleep 0.1; done; echo $a"
        ).strip()

    def chains(self) -> set[str]:
        """Name every chain of kube-proxy in iptables, for both families."""
        return proxy_chains(self.host.sh("iptables-save; ip6tables-save"))

    def tables(self) -> set[str]:
        """Name kube-proxy's nftables tables."""
        listed = self.host.sh("nft list tables")
        return {line for line in listed.splitlines() if line.endswith(" kube-proxy")}
