"""What an experiment is, how it is measured in batches that fit into memory, and the store of measurements."""
