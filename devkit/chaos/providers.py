"""The providers of a round: each one's loopback API, its faults, and the settings for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from devkit.servers import runware_api
from devkit.servers.background_drawings import TAKEN
from devkit.servers.image_api import KEY
from devkit.servers.image_api_faults import BILLED
from devkit.servers.image_api_process import (
    ImageApiProcess,
    ResponsesApiProcess,
    RunwareApiProcess,
)

#: Probability of each fault, per call: a refusal, which costs nothing.
REJECTED = {
    **dict.fromkeys(("rate_limited", "server_error", "overloaded", "html_502"), 0.03),
    **dict.fromkeys(("moderation_input", "invalid_value"), 0.015),
    "slow": 0.02,
}
#: The image API: lost requests, and lost answers with pictures.
IMAGES = {
    **REJECTED,
    "drop_before": 0.03,
    "moderation_output": 0.015,
    **dict.fromkeys(("drop_after", "html_200", "truncated_body", "not_base64"), 0.01),
}
#: A provider with powers: orders lost before and after they were accepted, lost status requests and
#: results, refusals and failures while it draws.
BACKGROUND = {
    **REJECTED,
    **dict.fromkeys(("lose_request", "lose_submit", "lose_poll", "lose_result"), 0.04),
    **dict.fromkeys(("odd_submit", "page_submit", "page_poll", "rate_limited_poll"), 0.015),
    "refuse": 0.015,
    "fail": 0.01,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosProvider:
    """An image provider and its faults."""

    name: str
    process: type[ImageApiProcess]
    faults: Mapping[str, float]
    #: The faults after which the caller does not know that a picture was drawn.
    silent: frozenset[str]
    #: Whether a picture whose answer was lost can be fetched: if so, none may be bought twice.
    fetches: bool
    settings: Mapping[str, str] = field(default_factory=dict)

    def rules(self, *further: Mapping[str, object]) -> list[Mapping[str, object]]:
        """Its faults as rules; the extra ones are tried first."""
        usual = [{"name": name, "probability": each} for name, each in self.faults.items()]
        return [*further, *usual]

    def environment(self, api: ImageApiProcess) -> dict[str, str]:
        """The settings with which the roles buy from this API."""
        if isinstance(api, RunwareApiProcess):
            return {
                **self.settings,
                "OPENAI_API_KEY": KEY,
                "RUNWARE_API_KEY": runware_api.KEY,
                "RUNWARE_BASE_URL": api.base_url,
            }
        return {**self.settings, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": api.base_url}

    def origins(self, api: ImageApiProcess) -> tuple[str, ...]:
        """Where results are downloaded from."""
        return (api.origin,) if isinstance(api, RunwareApiProcess) else ()


PROVIDERS = {
    each.name: each
    for each in (
        ChaosProvider(
            name="images", process=ImageApiProcess, faults=IMAGES, silent=BILLED, fetches=False
        ),
        ChaosProvider(
            name="responses",
            process=ResponsesApiProcess,
            faults=BACKGROUND,
            silent=TAKEN,
            fetches=True,
            settings={"WEARON_OPENAI_API": "responses"},
        ),
        ChaosProvider(
            name="runware",
            process=RunwareApiProcess,
            faults=BACKGROUND,
            silent=TAKEN,
            fetches=True,
            settings={"WEARON_PROVIDERS": "runware"},
        ),
    )
}
