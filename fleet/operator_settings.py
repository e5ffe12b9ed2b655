"""How the Pulumi Kubernetes Operator runs a fleet's stacks: what its manifests are made from."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from kube_nodes.model.declaration import Declaration
from kube_nodes.model.values import between, check_dns_label, check_image

Name = Annotated[str, AfterValidator(check_dns_label)]


class OperatorSettings(Declaration):
    """Names of what the operator's cluster has, and where the program comes from."""

    repository: str = Field(description="URL of the git repository with the program.")
    branch: str = Field(
        "", description="The branch to follow; empty: `commit` is run, and nothing is followed."
    )
    commit: str = Field("", description="The commit to run.")
    directory: str = Field("", description="Folder of Pulumi.yaml in the repository.")
    image: Annotated[str, AfterValidator(check_image)] = Field(
        description="Image of the workspaces: Pulumi's CLI and Python 3.11 or later."
    )
    backend: str = Field(description="URL of the state, such as `s3://bucket?region=…`.")
    namespace: Name = Field("kube-nodes", description="Namespace of the manifests.")
    service_account: Name = Field("kube-nodes", description="ServiceAccount of the workspaces.")
    secret: Name = Field(
        "kube-nodes",
        description="Secret with `passphrase`, `kubeconfig`, `sshPrivateKey`, and whatever "
        "variables the backend wants (`AWS_ACCESS_KEY_ID`, …).",
    )
    secret_variables: list[str] = Field(
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"],
        description="Keys of that Secret that are variables of the workspaces.",
    )
    resync_seconds: Annotated[int, between(60, 604800, "seconds")] = Field(
        3600,
        description="How often the branch is looked at, and a stack that did not change is run "
        "again.",
    )
    memory: str = Field("1Gi", description="Memory of a workspace.")
    cpu: str = Field("1", description="Processors of a workspace.")

    @model_validator(mode="after")
    def _follows_one(self) -> Self:
        if bool(self.branch) == bool(self.commit):
            what = "both branch and commit" if self.branch else "neither branch nor commit"
            raise ValueError(f"has {what}; set one of them")
        return self
