"""`wearon web`: the page for operators."""
