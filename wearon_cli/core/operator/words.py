"""What operators read about a session: the same words in every command and on every page."""

from typing import Final

from wearon_cli.core.credits import Credit, CreditState, ReturnedBy
from wearon_cli.core.operator.inspector import JobLocation, SessionReport

LOCATION_WORDS: Final = {
    JobLocation.QUEUE: "waits in the platform's list: no consumer has taken it yet",
    JobLocation.READY: "ready: it is released to a worker as the rate limit allows",
    JobLocation.RELEASED: "released: its message is on its way to a worker",
    JobLocation.RUNNING: "running: a worker has it",
    JobLocation.WAITING: "waiting: for a rate limit or the end of an outage",
    JobLocation.SETTLING: "a worker is ending it",
    JobLocation.ENDED: "ended: nothing is left to do",
    JobLocation.MISSING: "missing: there is none; recovery fails and settles old rows",
}

#: What an operator reads about the credit.
_CREDIT_WORDS: Final = {
    CreditState.HELD: "held: taken, and the session has not ended",
    CreditState.SPENT: "spent on this picture",
    CreditState.FREE: "free: it was returned, and the replay took none",
    CreditState.CHARGED: "charged: a replay took one for this picture",
    CreditState.OWED: "owed: taken, and not given back yet",
    CreditState.OVERAGE: "charged outside the credits: a person must look at it",
    CreditState.NEVER_TAKEN: "none was taken for it",
}
_RETURNED_BY: Final = {
    ReturnedBy.WORKER: "returned",
    ReturnedBy.PLATFORM: "returned by the platform",
}


def credit_words(credit: Credit) -> str:
    """Where the credit is, for a person."""
    if credit.state is CreditState.UNCLEAR:
        return f"unclear: {credit.reason}"
    if credit.returned_by and credit.state is CreditState.RETURNED:
        return _RETURNED_BY[credit.returned_by]
    return _CREDIT_WORDS[credit.state]


def credit_sentence(report: SessionReport) -> str:
    """Where the credit of a session is, and who does something about it."""
    words = credit_words(report.credit)
    if report.credit.state is not CreditState.OWED:
        return words
    if report.location is JobLocation.SETTLING:
        return f"{words}: a worker is at it"
    refused = report.record is not None and report.record.parked
    why = "the ledger refused it: a person must look" if refused else "`wearon reconcile --fix`"
    return f"{words}: {why}"
