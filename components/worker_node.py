"""One node: from a Linux host to a Node that is Ready, and back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import pulumi
import pulumi_command as command

from kube_nodes.components.bootstrap_token import BootstrapToken
from kube_nodes.components.commands import (
    DEFAULT_LOCAL_COMMAND,
    local_command,
    remote_command,
    send_scripts,
)
from kube_nodes.components.kept_steps import (
    OVER_SSH,
    are_recorded,
    hold,
    keep_recorded,
    take_away,
)
from kube_nodes.components.service_check import ServiceCheckTarget
from kube_nodes.components.static_token import StaticToken
from kube_nodes.components.unrecorded import without_stack_traces
from kube_nodes.model.binaries import Binaries
from kube_nodes.model.cluster import Cluster
from kube_nodes.model.host_output import MOST_CHARACTERS, clean, clean_lines
from kube_nodes.model.machine import parse_facts
from kube_nodes.model.nodes import Node
from kube_nodes.model.recorded import WORKER_NODE, Recorded
from kube_nodes.model.requests import (
    LABELS_VARIABLE,
    TAINTS_VARIABLE,
    VERSION_VARIABLE,
    DeclaredNode,
    DeliverRequest,
    Drain,
    JoinRequest,
    PrepareRequest,
    Runs,
    Token,
    parse_open_until,
    render_labels,
    render_taints,
)
from kube_nodes.render.host_files import (
    read_run_id,
    render_node_credentials,
    render_node_preflight,
    render_node_service_check,
    render_node_units,
    route_to,
    sent_files,
)
from kube_nodes.render.shell import host_scripts_sum


@dataclass(frozen=True, kw_only=True)
class WorkerNodeArgs:
    """What a WorkerNode is made from."""

    cluster: Cluster
    """The cluster that it joins."""
    node: Node
    """The declared node, its options resolved."""
    binaries: Binaries | None
    """Where kubelet and kube-proxy come from; None: they are on the host already."""
    kube_proxy_certificate: pulumi.Input[str]
    """kube-proxy's client certificate, PEM."""
    kube_proxy_key: pulumi.Input[str] = field(repr=False)
    """Its private key, PEM, secret."""
    service_check: ServiceCheckTarget
    """What is curled from the node when it is Ready."""
    static_token: StaticToken | None = None
    """The static token; a node of the token mode `static` needs it."""
    ssh_private_key: pulumi.Input[str] | None = field(default=None, repr=False)
    """SSH key; None: the SSH agent."""
    local_command: str = DEFAULT_LOCAL_COMMAND
    """How membership/ is started."""
    recorded: Recorded | None = None
    """What the state holds (read_recorded); a node that is lost needs it."""

    @cached_property
    def units_text(self) -> str:
        """What the host's configuration and units are written from; nothing secret is in it."""
        return render_node_units(self.cluster, self.node, self.binaries)

    @property
    def digest(self) -> str:
        """SHA-256 of that and of the scripts: with another one the host is gone over again."""
        return _sha256(host_scripts_sum() + self.units_text)


class WorkerNode(pulumi.ComponentResource):
    """A host's way into the cluster: check, open its token, write, start, approve, verify, close.

    Each step depends on those before it; a destroy goes the same way back: drain, stop, remove
    what was written, delete the Node.

    Attributes:
        declared: the node as certificate requests are checked against it.
        node_name: the Node's name.
        address: the host's address.
        pool: the pool that it is declared in.
        version: the declared version, once the Node is Ready with it; empty where it is lost.
        digest: SHA-256 of what the host's configuration and units were written from.
        answer: what the Service answered from this node.
        last: the resource that succeeds when all of the node has.
    """

    last: pulumi.Resource

    @without_stack_traces()
    def __init__(
        self,
        name: str,
        args: WorkerNodeArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Input[pulumi.Resource]] = (),
    ) -> None:
        """Declare the node.

        Args:
            name: its id.
            args: what it is made from.
            opts: the component's options.
            after: what must have succeeded before anything of it changes; its host is looked at
                all the same.
        """
        told = _told(args.node)
        if args.node.held:
            opts = pulumi.ResourceOptions.merge(
                opts, pulumi.ResourceOptions(transformations=[hold])
            )
        super().__init__(WORKER_NODE, name, told, opts)
        self._name, self._args = name, args
        self.node_name = args.node.id
        self.address = args.node.address
        self.pool = args.node.pool
        self._token, self._static = self._find_token()
        self.declared = pulumi.Output.from_input(self._token.id if self._token else None).apply(
            lambda token_id: replace(self._declared(), token_id=token_id)
        )
        if args.node.lost or self._is_half_joined():
            self._lose() if args.node.lost else self._stay()
            self.register_outputs(told)
            return
        preflight = self._preflight()
        before: list[pulumi.Input[pulumi.Resource]] = [preflight, *after]
        if deliver := self._deliver(before):
            before = [deliver]
        prepare = None
        if args.node.is_worker:
            prepare = self._prepare(preflight, before)
            before = [prepare]
        credentials = self._credentials(prepare, before)
        units = self._units(args.units_text, credentials)
        verified: command.local.Command | command.remote.Command = units
        if prepare:
            verified = self._membership(prepare, credentials, units)
        check = self._service_check(credentials, units, verified)
        self.last = check
        # As it was written and seen: a held node may be declared otherwise.
        self.digest = units.stdin.apply(lambda text: _sha256(text or ""))
        declared = str(args.node.options.kubernetes_version)
        self.version = verified.stdout.apply(lambda said: _joined_version(said) or declared)
        self.answer = check.stdout.apply(_answer)
        self.register_outputs({**told, "version": self.version})

    def _lose(self) -> None:
        """Take the Node away, and leave the host alone for ever."""
        args = self._args
        if args.recorded is None:
            raise ValueError(f"{self._name}: it is lost; give what read_recorded returns")
        keep_recorded(self, args.node, args.recorded, OVER_SSH, retain=True)
        if args.node.is_worker:
            request = self._opened().apply(
                lambda token: JoinRequest(
                    cluster=args.cluster.identity, node=self._declared(), token=token, lost=True
                )
            )
            take_away(self, self._name, request, local=args.local_command)
        self._stay_out()

    def _is_half_joined(self) -> bool:
        """Tell whether it is held before it has come up once."""
        node, recorded = self._args.node, self._args.recorded
        return node.held and recorded is not None and not are_recorded(node, recorded)

    def _stay(self) -> None:
        """Leave a join that did not end where it stands."""
        if self._args.recorded is not None:
            keep_recorded(self, self._args.node, self._args.recorded)
        self._stay_out()

    def _stay_out(self) -> None:
        self.last = self
        self.digest = self.version = self.answer = pulumi.Output.from_input("")

    def _after(self, *resources: pulumi.Input[pulumi.Resource]) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(resources))

    def _preflight(self) -> command.remote.Command:
        """Look at the host before anything in the cluster, or on it but our scripts, is changed."""
        node = self._args.node
        return remote_command(
            f"{self._name}-preflight",
            node,
            render_node_preflight(self._args.cluster, node, self._args.binaries),
            private_key=self._args.ssh_private_key,
            # All others have called them for the last time when this one is deleted.
            at_delete="unsend",
            # Its notes stop nothing, so no error would show them.
            shows="stderr",
            opts=self._after(*self._scripts()),
        )

    def _scripts(self) -> list[pulumi.Resource]:
        """Send what the steps on the host call."""
        node, recorded = self._args.node, self._args.recorded
        name = f"{self._name}-scripts"
        if node.held and recorded is not None and name not in recorded.names:
            # It came up with a version that sent none, and its steps stay as they are.
            return []
        scripts = send_scripts(
            name,
            node,
            life=f"generation {node.generation}, reapply {node.reapply}",
            private_key=self._args.ssh_private_key,
            opts=pulumi.ResourceOptions(parent=self),
        )
        return [scripts]

    def _find_token(self) -> tuple[BootstrapToken | None, StaticToken | None]:
        """Declare the node's own token, or take the static one; without a kubelet there is none."""
        node, static = self._args.node, self._args.static_token
        if not node.is_worker:
            return None, None
        if not node.uses_static_token:
            opts = pulumi.ResourceOptions(parent=self)
            return BootstrapToken(f"{self._name}-token", node.generation, opts), None
        if static is None:
            raise ValueError(f"{self._name}: its token mode is static; give the static token")
        return None, static

    def _opened(self) -> pulumi.Output[Token | None]:
        """Give the node's own token with its secret; None in the static mode."""
        if self._token is None:
            return pulumi.Output.from_input(None)
        return pulumi.Output.all(self._token.id, self._token.secret).apply(
            lambda values: Token(id=values[0], secret=values[1])
        )

    def _deliver(self, before: list[pulumi.Input[pulumi.Resource]]) -> command.local.Command | None:
        """Send the programs that come from the operator's machine, before the node is drained.

        No CopyToRemote: it hashes the files for each node of each preview, copies whatever the host
        has, and copies nothing when what it had is gone.
        """
        args = self._args
        files = sent_files(args.node, args.binaries)
        if not files:
            return None
        request = DeliverRequest(
            node=args.node.id, route=route_to(args.node), files=files, units=args.digest
        )
        key = args.ssh_private_key
        text: pulumi.Input[str] = request.to_json()
        if key is not None:
            text = pulumi.Output.secret(key).apply(
                lambda private: replace(request, private_key=private).to_json()
            )
        return local_command(
            f"{self._name}-binaries",
            "deliver",
            text,
            local=args.local_command,
            undo="recall",
            opts=self._after(*before),
        )

    def _prepare(
        self, preflight: command.remote.Command, before: list[pulumi.Input[pulumi.Resource]]
    ) -> command.local.Command:
        """Open the token before the kubelet starts; drain where the kubelet's minor changes."""
        static = self._static.token if self._static else None
        request = pulumi.Output.all(self._opened(), static, preflight.stdout).apply(
            lambda values: PrepareRequest(
                cluster=self._args.cluster.identity,
                node=self._declared(),
                token=values[0],
                static_token=values[1],
                drain=self._drain(),
                machine=parse_facts(values[2]),
                reapply=self._args.node.reapply,
                adopt=self._args.node.adopts,
            ).to_json()
        )
        # The static token is in its files before it is tried.
        token = self._token.object if self._token else self._static
        return local_command(
            f"{self._name}-prepare",
            "prepare",
            pulumi.Output.secret(request),
            local=self._args.local_command,
            undo="forget",
            opts=self._after(*([token] if token else []), *before),
        )

    def _credentials(
        self, prepare: command.local.Command | None, before: list[pulumi.Input[pulumi.Resource]]
    ) -> command.remote.Command:
        """Write what is secret: the bootstrap kubeconfig and kube-proxy's."""
        args, own = self._args, self._token
        bearer = self._static.token if self._static else None
        if own:
            bearer = pulumi.Output.concat(own.id, ".", own.secret)
        # While the token is open, the host tries it before it replaces a file.
        token_end = prepare.stdout.apply(parse_open_until) if prepare else None
        text = pulumi.Output.all(
            bearer, args.kube_proxy_certificate, args.kube_proxy_key, token_end
        ).apply(
            lambda values: render_node_credentials(
                args.cluster, args.node, *values[:3], token_end=values[3]
            )
        )
        return remote_command(
            f"{self._name}-credentials",
            args.node,
            pulumi.Output.secret(text),
            private_key=args.ssh_private_key,
            at_delete="remove",
            secret_output=True,
            opts=self._after(*before),
        )

    def _units(self, text: str, credentials: pulumi.Resource) -> command.remote.Command:
        """Write what a reviewer should read: nothing secret may be mixed into this text."""
        return remote_command(
            f"{self._name}-units",
            self._args.node,
            text,
            private_key=self._args.ssh_private_key,
            at_delete="remove",
            opts=self._after(credentials),
        )

    def _membership(
        self,
        prepare: command.local.Command,
        credentials: command.remote.Command,
        units: command.remote.Command,
    ) -> command.local.Command:
        """Approve, wait until Ready, close the token, set labels and taints.

        It takes what the steps before it printed: each run of one of them is verified, also one
        that went back to older content.
        """
        node, options = self._args.node, self._args.node.options
        request = pulumi.Output.all(
            self._opened(), prepare.stdout, credentials.stdout, units.stdout
        ).apply(
            lambda values: JoinRequest(
                cluster=self._args.cluster.identity,
                node=self._declared(),
                token=values[0],
                runs=Runs(
                    prepare=values[1],
                    credentials=clean_lines(values[2], MOST_CHARACTERS),
                    units=clean_lines(values[3], MOST_CHARACTERS),
                ),
                timeout_seconds=options.join_timeout_seconds,
                drain=self._drain(),
                pod_network=self._args.cluster.pod_network,
                # A key that is in the configuration goes into the connections and nowhere else.
                route=None if self._args.ssh_private_key else route_to(node),
            ).to_json()
        )
        return local_command(
            f"{self._name}-membership",
            "join",
            pulumi.Output.secret(request),
            local=self._args.local_command,
            undo="leave",
            environment={
                LABELS_VARIABLE: render_labels(node.node_labels.items()),
                TAINTS_VARIABLE: render_taints(options.taints),
                VERSION_VARIABLE: str(options.kubernetes_version),
            },
            opts=self._after(prepare, credentials, units),
        )

    def _service_check(
        self,
        credentials: command.remote.Command,
        units: command.remote.Command,
        verified: pulumi.Resource,
    ) -> command.remote.Command:
        """Curl a Service from the node, again after each run of what kube-proxy is started by."""
        args = self._args
        # Its run's id alone, which is no secret: the text is to be read in a preview.
        written = pulumi.Output.unsecret(credentials.stdout.apply(read_run_id))
        target = args.service_check
        text = pulumi.Output.all(target.url, units.stdout, written, target.ca_certificate).apply(
            lambda values: render_node_service_check(
                args.node,
                url=values[0],
                ca_certificate=values[3],
                timeout_seconds=target.timeout_seconds,
                runs=(read_run_id(values[1]), values[2]),
            )
        )
        return remote_command(
            f"{self._name}-service-check",
            args.node,
            text,
            private_key=args.ssh_private_key,
            opts=self._after(verified),
        )

    def _declared(self) -> DeclaredNode:
        node = self._args.node
        return DeclaredNode(
            id=node.id,
            name=node.id,
            generation=node.generation,
            addresses=tuple(sorted({node.node_ip, node.address})),
            dns_names=(node.id,),
            version=str(node.options.kubernetes_version),
            bootstrap_user=self._static.user if self._static else None,
        )

    def _drain(self) -> Drain:
        options = self._args.node.options
        return Drain(
            timeout_seconds=options.drain_timeout_seconds,
            force=options.drain_force,
            pool=self._args.node.pool,
        )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _joined_version(said: str) -> str:
    """Read the version that a join ended with; empty: no kubelet joined."""
    found = re.search(r"^joined (v[\d.]{1,20})$", said[:MOST_CHARACTERS], re.MULTILINE)
    return found[1] if found else ""


def _told(node: Node) -> dict[str, pulumi.Input[object]]:
    """Say in the open what is changed of a node as a whole.

    Connections and the requests of prepare and membership are secret: of them a preview shows only
    that they change. As inputs, since a node that never came to its outputs is told of, too.
    """
    jump = node.ssh.jump
    return {
        "pool": node.pool,
        "lost": node.lost,
        "generation": node.generation,
        "address": node.address,
        "hostKey": node.host_key,
        "sshUser": node.ssh.user,
        "sshPort": node.ssh.port,
        "sshJump": f"{jump.user}@{jump.address} port {jump.port}" if jump else "",
    }


def _answer(stdout: str) -> str:
    """Take the answer from what the service check printed: its run, then the answer."""
    return clean(stdout[:MOST_CHARACTERS].partition("\n")[2], 200)
