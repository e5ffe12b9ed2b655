"""Pull requests: previews of the whole program by the real engine, comments and policies."""
