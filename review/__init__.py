"""What a pull request would change, as a comment: from `pulumi preview --json` to Markdown."""
