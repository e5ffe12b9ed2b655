"""containerd's configuration, for the nodes where this program is asked to write it."""

from __future__ import annotations

from typing import Any

import tomli_w

from kube_nodes.model.options import ContainerdOptions, NodeOptions

# Where NVIDIA's container toolkit installs it.
NVIDIA_RUNTIME = "/usr/bin/nvidia-container-runtime"
_CRI_1 = "io.containerd.grpc.v1.cri"
_CRI_2_IMAGES = "io.containerd.cri.v1.images"
_CRI_2_RUNTIME = "io.containerd.cri.v1.runtime"


def render_containerd_configuration(containerd: ContainerdOptions, options: NodeOptions) -> str:
    """Render config.toml: sandbox image, cgroup driver, CNI folders.

    Source: containerd docs/cri/config.md; version 2 of the file is containerd 1.x, 3 is 2.x.
    """
    cni = {"bin_dir": containerd.cni_bin_dir, "conf_dir": containerd.cni_conf_dir}
    runc: dict[str, Any] = {
        "runtime_type": "io.containerd.runc.v2",
        "options": {"SystemdCgroup": options.cgroup_driver == "systemd"},
    }
    runtimes: dict[str, Any] = {"runtimes": {"runc": runc}}
    if options.gpu == "nvidia":
        # A pod takes it with `runtimeClassName`, whose handler is `nvidia`.
        own = {"BinaryName": NVIDIA_RUNTIME, **runc["options"]}
        runtimes["runtimes"]["nvidia"] = {**runc, "options": own}
    plugins: dict[str, Any]
    if containerd.config_version == 2:
        plugins = {
            _CRI_1: {
                "sandbox_image": containerd.sandbox_image,
                "restrict_oom_score_adj": containerd.restrict_oom_score_adj,
                "cni": cni,
                "containerd": runtimes,
            }
        }
    else:
        plugins = {
            _CRI_2_IMAGES: {"pinned_images": {"sandbox": containerd.sandbox_image}},
            _CRI_2_RUNTIME: {
                "restrict_oom_score_adj": containerd.restrict_oom_score_adj,
                "cni": cni,
                "containerd": runtimes,
            },
        }
    return tomli_w.dumps({"version": containerd.config_version, "plugins": plugins})
