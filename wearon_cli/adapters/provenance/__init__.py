"""Content credentials (C2PA): signing pictures, and reading what others signed."""
