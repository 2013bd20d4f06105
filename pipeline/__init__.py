"""One function and one configuration model per command.

Import the modules directly (`from hitfabric.pipeline.train import TrainConfig, train`): each loads only what its stage
needs.
"""
