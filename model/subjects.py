"""The names that kube-proxy's certificate may hold beside its user: C, ST, L, O and OU.

They are decoration to Kubernetes but for one: the organization is a group of the user
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates).
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from kube_nodes.model.declaration import Declaration
from kube_nodes.model.groups import is_reserved_group

_COUNTRY = re.compile(r"[A-Z]{2}")


def check_country(value: str) -> str:
    """Check a country's code, which X.520 wants in two letters."""
    if not _COUNTRY.fullmatch(value):
        raise ValueError("is not a country; write its two capital letters (ISO 3166), such as CN")
    return value


def check_place(value: str) -> str:
    """Check a province or a locality; the bound is X.520's (RFC 5280, appendix A.1)."""
    return _one_line(value, 128)


def check_unit(value: str) -> str:
    """Check an organizational unit; the bound is X.520's."""
    return _one_line(value, 64)


def check_organization(value: str) -> str:
    """Check an organization: a group that has no rights by its prefix."""
    if is_reserved_group(value):
        raise ValueError(
            "is a group to the API server, and every kube-proxy would have its rights;"
            " use one that does not begin with system: or kubeadm:"
        )
    return check_unit(value)


def _one_line(value: str, most: int) -> str:
    if not value or value != value.strip() or not value.isprintable() or len(value) > most:
        raise ValueError(
            f"is not a name of 1 to {most} characters; write one line without blanks around it"
        )
    return value


class Subject(Declaration):
    """The names in kube-proxy's certificate beside CN system:kube-proxy; by default none."""

    country: Annotated[str, AfterValidator(check_country)] | None = Field(
        None, description="C: two capital letters."
    )
    province: Annotated[str, AfterValidator(check_place)] | None = Field(
        None, description="ST: state or province."
    )
    locality: Annotated[str, AfterValidator(check_place)] | None = Field(
        None, description="L: locality."
    )
    organization: Annotated[str, AfterValidator(check_organization)] | None = Field(
        None, description="O: organization; to the API server a group of kube-proxy's user."
    )
    organizational_unit: Annotated[str, AfterValidator(check_unit)] | None = Field(
        None, description="OU: organizational unit."
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The names that are set, as `O=k8s`, in the order of a certificate's subject."""
        given = {
            "C": self.country,
            "O": self.organization,
            "OU": self.organizational_unit,
            "L": self.locality,
            "ST": self.province,
        }
        return tuple(f"{short}={value}" for short, value in given.items() if value is not None)
