"""What is rendered, compared with files that a reviewer has read."""
