"""The policy pack, asked over gRPC as the engine asks it."""
