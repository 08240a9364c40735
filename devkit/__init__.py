"""Loopback servers, test worlds and load generators, shared by tests, benchmarks and scripts."""
