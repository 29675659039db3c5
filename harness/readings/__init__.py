"""From a measurement to estimates: one file per experiment, of the same name; nothing here needs a model."""
