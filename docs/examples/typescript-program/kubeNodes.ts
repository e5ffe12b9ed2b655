// The component package kube-nodes, by hand: Pulumi's own releases write the same, with a type for
// every key, by `pulumi package add .venv/bin/pulumi-resource-kube-nodes`.

import * as pulumi from "@pulumi/pulumi";

export interface NodeStatus {
  name: string;
  pool: string;
  address: string;
  version: string;
  digest: string;
  serviceAnswer: string;
}

/** The keys of a stack's configuration: docs/configuration.md. */
export interface NodesArgs {
  server: string;
  caCertificate: string;
  clusterUid: string;
  podCidrs: string[];
  serviceCidrs: string[];
  pools: Record<string, object>;
  binaries?: Record<string, object>;
  options?: object;
  kubeProxyCertificate?: object;
  serviceCheck?: object;
  caKey?: pulumi.Input<string>;
  sshPrivateKey?: pulumi.Input<string>;
  localCommand?: string;
}

/** Worker nodes; what depends on this component begins when all of them are up. */
export class Nodes extends pulumi.ComponentResource {
  declare public readonly nodes: pulumi.Output<Record<string, NodeStatus>>;
  declare public readonly cluster: pulumi.Output<{ name: string; server: string; uid: string }>;
  declare public readonly inventory: pulumi.Output<string>;
  declare public readonly caCertificateExpires: pulumi.Output<string>;
  declare public readonly kubeProxyCertificateExpires: pulumi.Output<string>;

  constructor(name: string, args: NodesArgs, opts?: pulumi.ComponentResourceOptions) {
    const inputs = {
      ...args,
      caKey: args.caKey && pulumi.secret(args.caKey),
      sshPrivateKey: args.sshPrivateKey && pulumi.secret(args.sshPrivateKey),
      nodes: undefined,
      cluster: undefined,
      inventory: undefined,
      caCertificateExpires: undefined,
      kubeProxyCertificateExpires: undefined,
    };
    super("kube-nodes:index:Nodes", name, inputs, opts, true /* the package makes it */);
  }
}
