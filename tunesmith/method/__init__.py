"""WHAT trains: one file a method."""

import logging

logging.getLogger("bitsandbytes").setLevel(
    logging.ERROR
)  # peft imports it where it is there, and it tells of kernels that it can do without
