"""The local stack: rows and credits in SQLite, files in a folder."""
