"""Content credentials (C2PA): signing pictures, and reading other signatures."""
