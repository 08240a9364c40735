"""
Jobs under violence, and what became of them: `python -m devkit.chaos`, or `make chaos`.

Real processes over real Redis, PostgreSQL and PostgREST, all on loopback. `arena` starts and stops
everything, `violence` is what is done to it, `report` counts what it left.
"""
