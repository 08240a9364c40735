"""Everything this product keeps in Redis."""
