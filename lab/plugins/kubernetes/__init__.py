"""A stand-in for Pulumi's kubernetes plugin, for the lab's own stack alone.

It keeps the official rules (pulumi/pulumi-kubernetes, provider/pkg, as of 4.32 to 4.34)
for what this project declares: any kind that the API server serves, created with a POST,
updated with server-side apply, compared with the last read state pruned to the declared
fields. It has no Helm, no Patch or List resources, no YAML rendering, no client-side apply.

Knowingly different: see `normalise` (Go's typed round trip), `awaiting` (no pod messages, no
settle time of ten seconds for a Service) and `differences.FORCE_NEW` (fewer kinds).
"""
