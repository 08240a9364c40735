"""Checks of pictures, before they cost money and after they are made: measured, and judged."""
