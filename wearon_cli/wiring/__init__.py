"""
Builds adapters and rules from Settings: the one place that knows them all.

One module for each role and one for the operator tools; what they share is in `parts`. Each opener
is a context manager: what it opened it closes. A command imports the module it needs, and with it
only what that opens (tests/integration/test_quick_commands.py).
"""
