"""The processes: consumer, Celery worker, HTTP server, supervisor, local stack."""
