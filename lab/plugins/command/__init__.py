"""Stand-in for the command plugin 1.2.1: both `Command`s, and `remote:CopyToRemote`."""
