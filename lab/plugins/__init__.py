"""Stand-ins for Pulumi's plugins, for the lab's own stack alone."""
