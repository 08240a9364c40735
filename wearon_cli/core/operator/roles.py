"""Which command starts a role."""


def start_command(role: str, *, is_local: bool) -> str:
    """What starts a missing role; on a local stack one command starts all of them."""
    return "wearon all --local" if is_local else f"wearon {role}"
