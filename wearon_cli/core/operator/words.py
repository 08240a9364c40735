"""Sentences about a session for operators, the same in every command and on the operators' page."""

from typing import Final

from wearon_cli.core.credits import Credit, CreditState, ReturnedBy
from wearon_cli.core.operator.inspector import JobLocation, SessionReport

LOCATION_WORDS: Final = {
    JobLocation.QUEUE: "in the platform's list: no consumer has taken it yet",
    JobLocation.READY: "ready: waiting to be released to a worker",
    JobLocation.RELEASED: "released: its message is in Celery's queue",
    JobLocation.RUNNING: "running: a worker holds it",
    JobLocation.WAITING: "waiting for a rate limit or an outage to end",
    JobLocation.SETTLING: "a worker is settling it",
    JobLocation.ENDED: "ended: nothing left to do",
    JobLocation.MISSING: "missing: there is no job; recovery will fail and settle the session",
}

#: The operator's sentence for each state of the credit.
_CREDIT_WORDS: Final = {
    CreditState.HELD: "held: taken, the session has not ended",
    CreditState.SPENT: "spent on this picture",
    CreditState.FREE: "free: returned earlier, and the replay took none",
    CreditState.CHARGED: "charged: a replay took a credit for this picture",
    CreditState.OWED: "owed: taken and not returned yet",
    CreditState.OVERAGE: "charged outside the credits: needs a person",
    CreditState.NEVER_TAKEN: "no credit was taken",
}
_RETURNED_BY: Final = {
    ReturnedBy.WORKER: "returned",
    ReturnedBy.PLATFORM: "returned by the platform",
}


def credit_words(credit: Credit) -> str:
    """The state of the credit, as a sentence."""
    if credit.state is CreditState.UNCLEAR:
        return f"unclear: {credit.reason}"
    if credit.returned_by and credit.state is CreditState.RETURNED:
        return _RETURNED_BY[credit.returned_by]
    return _CREDIT_WORDS[credit.state]


def credit_sentence(report: SessionReport) -> str:
    """The state of a session's credit, and what happens next."""
    words = credit_words(report.credit)
    if report.credit.state is not CreditState.OWED:
        return words
    if report.location is JobLocation.SETTLING:
        return f"{words}; a worker is returning it"
    refused = report.record is not None and report.record.parked
    why = "the ledger refused the refund: needs a person" if refused else "`wearon reconcile --fix`"
    return f"{words}: {why}"
