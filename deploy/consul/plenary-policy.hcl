# What an edge or a media node may do in Consul: the policy of the token in CONSUL_HTTP_TOKEN.
# Replication of tokens is needed for the other datacenters: they are read with the same token.

# With PLENARY_NAMESPACE, write it in place of "plenary" below.
# Its own service, and seeing the others.
service_prefix "plenary-" { policy = "write" }
# On which hosts they are, and whether these are well.
node_prefix "" { policy = "read" }
# The name of the agent's datacenter.
agent_prefix "" { policy = "read" }
# A session that ends with the service's check, which sessions live, and the claims to id and ports under them.
session_prefix "" { policy = "write" }
key_prefix "plenary/" { policy = "write" }
