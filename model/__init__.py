"""Plain data and rules; nothing here imports Pulumi."""
