"""Names of the devices a worker may compute on; imports nothing, so that a worker starts soon."""

DEVICES = ("native", "numpy", "csim", "golden", "xrt", "shadow")
