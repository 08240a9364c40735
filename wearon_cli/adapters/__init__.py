"""One folder per outside thing. Each implements ports that stand in `core` beside the rules."""
