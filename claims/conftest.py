"""Loads the fixtures of the claims in the process that collects them.

With pytest-xdist that is each worker. The process that hands the claims out needs neither the fixtures nor
torch, and the workers would wait five seconds for its import.
"""

FIXTURES = "harness.suite.fixtures"


def pytest_collect_file(parent):
    manager = parent.config.pluginmanager
    if not manager.has_plugin(FIXTURES):
        manager.import_plugin(FIXTURES)
