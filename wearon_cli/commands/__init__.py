"""One module per subcommand: parse, call, emit."""
