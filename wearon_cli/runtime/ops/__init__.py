"""Logs, metrics, probes and checks, for every role."""
