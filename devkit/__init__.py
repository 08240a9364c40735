"""Loopback servers, worlds and loads that tests, benchmarks and scripts share."""
