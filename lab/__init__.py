"""A real cluster and real node hosts on one machine; no product code imports this."""
