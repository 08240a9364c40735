"""Columns and object paths, the same in every session store."""
