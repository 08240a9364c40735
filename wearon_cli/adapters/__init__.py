"""One module per outside thing. Each implements a port of `wearon_cli.core.ports`."""
