"""What a step of a job came to, also when it crashed."""

from collections.abc import Awaitable

from wearon_cli.core.errors import LeaseLost, WearonError
from wearon_cli.core.events import emit
from wearon_cli.core.jobs.events import JobCrashed


async def result_of[T](step: Awaitable[T]) -> T | WearonError:
    """
    The result of a step, or the error that it ended with. An error outside the tree is logged and
    becomes a `WearonError`: the one broad `except` of the worker is here.

    Raises:
        LeaseLost: The job is another worker's now.
    """
    try:
        return await step
    except LeaseLost:
        raise
    except WearonError as error:
        return error
    except Exception as exc:  # noqa: BLE001 - logged; the caller settles the job, or goes on
        emit(JobCrashed(kind=type(exc).__name__), exc_info=exc)
        return WearonError(f"unexpected {type(exc).__name__}")
