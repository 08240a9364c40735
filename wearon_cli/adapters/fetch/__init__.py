"""Downloads pictures from untrusted addresses."""
