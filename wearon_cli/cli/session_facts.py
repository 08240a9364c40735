"""A session's row as JSON."""

from wearon_cli.core.session import Session


def row_facts(row: Session) -> dict[str, object]:
    """A row as JSON keys; addresses are left out, since they grant access."""
    return {
        "session_id": row.session_id,
        "channel": row.channel,
        "owner_id": row.owner_id,
        "status": row.status,
        "created_at": row.created_at,
        "completed_at": row.completed_at,
        "message": row.error_message,
        "request_id": row.request_id,
        "cost_usd": row.estimated_cost_usd,
        "processing_time_ms": row.processing_time_ms,
    }
