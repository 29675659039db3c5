"""What an experiment is, and how it is run on a subject: once, in batches that fit, kept by content."""
