"""
Jobs during kills, outages and faults, and their outcomes: `python -m devkit.chaos`, or `make
chaos`.

Real processes over real Redis, PostgreSQL and PostgREST, all on loopback. `stack` starts and stops
everything, `disruption` kills and breaks it, `report` counts the outcomes.
"""
