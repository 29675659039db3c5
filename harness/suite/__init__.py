"""The suite as a plugin of pytest and pytest-xdist: options, the fixture `judge`, progress, the ending."""
