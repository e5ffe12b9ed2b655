"""Stand-in for the command plugin 1.2.1: `command:local:Command`, `command:remote:Command`."""
