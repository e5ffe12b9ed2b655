// Worker nodes, and what runs on them, in one program.
//
// The nodes are configured as in kube-nodes itself, under `kube-nodes:` in this stack's
// configuration, where the commands of kube-nodes find them too; values in this file do as well.

import * as pulumi from "@pulumi/pulumi";

import { Nodes } from "./kubeNodes";

const config = new pulumi.Config("kube-nodes");

const workers = new Nodes("workers", {
  server: config.require("server"),
  caCertificate: config.require("caCertificate"),
  clusterUid: config.require("clusterUid"),
  podCidrs: config.requireObject("podCidrs"),
  serviceCidrs: config.requireObject("serviceCidrs"),
  binaries: config.getObject("binaries"),
  options: config.getObject("options"),
  kubeProxyCertificate: config.getObject("kubeProxyCertificate"),
  serviceCheck: config.getObject("serviceCheck"),
  pools: config.requireObject("pools"),
  caKey: config.getSecret("caKey"),
  sshPrivateKey: config.getSecret("sshPrivateKey"),
});

// `{ dependsOn: workers }` makes a resource of yours when every node is up.

// What `kube-nodes-membership approve` and the commands of kube_nodes.fleet read.
export const { cluster, nodes, inventory, caCertificateExpires, kubeProxyCertificateExpires } =
  workers;

export const addresses = workers.nodes.apply((found) =>
  Object.fromEntries(Object.entries(found).map(([id, node]) => [id, node.address])),
);
