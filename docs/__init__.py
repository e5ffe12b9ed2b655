"""The project's documents, and the small program that keeps their generated parts fresh."""
