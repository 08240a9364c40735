"""Small rounds of `make chaos`: real processes, real kills, real outages."""

import pytest

from devkit.chaos.__main__ import run
from devkit.servers.postgres import NotToBeHad
from devkit.stores import skip_or_fail

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("seller", "jobs", "over_s"),
    [
        pytest.param("images", 40, 18.0, id="images"),
        pytest.param("responses", 20, 10.0, id="responses"),
        pytest.param("runware", 20, 10.0, id="runware"),
    ],
)
def test_every_guarantee_holds_under_kills_and_outages(
    seller: str, jobs: int, over_s: float, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = {  # so that a round fits into a test: what a crash leaves is found within seconds
        "WEARON_LEASE_S": "4",
        "WEARON_LEASE_RENEW_S": "1",
        "WEARON_RECOVERY_INTERVAL_S": "1",
        "WEARON_HEARTBEAT_S": "1",
    }
    try:
        found = run(jobs, 5, seller=seller, over_s=over_s, within_s=180.0, **quick)
    except NotToBeHad as exc:
        skip_or_fail(str(exc))
        raise
    report = capsys.readouterr().out + "\n".join(found.lines())
    assert found.broken == [], report
    assert found.kills >= 4
    assert found.completed >= jobs // 2, report
