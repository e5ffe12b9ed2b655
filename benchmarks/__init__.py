"""How long the same work takes this program and what people use today, on the same hosts."""
