"""
Builds adapters and rules from Settings: the composition root.

One module for each role and one for the operator tools; shared parts are in `parts`. Each opener is
a context manager and closes what it opened. A command imports only the module it needs, and with it
only what that opens (tests/integration/test_quick_commands.py).
"""
