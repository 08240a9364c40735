"""`wearon serve`: the HTTP role."""
