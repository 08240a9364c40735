"""`wearon celery`: the worker role."""
