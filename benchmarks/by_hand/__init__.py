"""The work as it would be done by hand: shell, ssh and kubectl."""
