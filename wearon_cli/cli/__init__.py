"""Shared by the commands: options, output, progress, durations."""
