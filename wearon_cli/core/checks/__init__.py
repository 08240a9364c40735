"""Checks of pictures before money is spent on them and after they are generated: measurements and
verdicts.
"""
