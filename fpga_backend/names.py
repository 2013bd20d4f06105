"""Names that files, models and processes agree on; imports nothing, so that a worker starts soon."""

BACKEND_NAME = "hitfabric"
CHAIN_FILE = "chain.json"
NETWORKS = ("embedding", "filter", "interaction_network")
TRACKING = "tracking"
MODELS = (*NETWORKS, TRACKING)
