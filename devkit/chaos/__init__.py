"""
Jobs during kills, outages and faults, and their outcomes: `python -m devkit.chaos`, or `make
chaos`.

Real processes over real Redis, PostgreSQL and PostgREST, all on loopback. `arena` starts and stops
everything, `violence` kills and breaks it, `report` counts the outcomes.
"""
