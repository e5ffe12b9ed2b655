"""The policy pack: `pulumi preview --policy-pack policy`. It needs nothing but this machine."""
