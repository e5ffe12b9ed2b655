"""Stand-in for pulumi-random 4.21.4: RandomString and RandomPassword.

Rules: terraform-provider-random, internal/provider/resource_string.go and resource_password.go.
"""
