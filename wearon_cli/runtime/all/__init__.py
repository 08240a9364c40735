"""`wearon all`: the roles of one machine, supervised."""
