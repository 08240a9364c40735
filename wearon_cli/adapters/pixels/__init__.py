"""Pixel work in child processes: limits of memory and time, and nobody pays for a neighbour."""
