"""Requests and responses of the HTTP app, as callers see them (contract and OpenAPI document)."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from wearon_cli.core.body.estimate import EstimateRequest
from wearon_cli.core.body.sizes import SizeChart, built_in_chart
from wearon_cli.core.body.stated import HEIGHT_RANGE_CM, WEIGHT_RANGE_KG, GarmentKind, Sex

PhotoUrl = Annotated[str, Field(min_length=1, max_length=8192)]
Photo = Annotated[
    bytes, Field(strict=True, min_length=1, json_schema_extra={"contentMediaType": "image/*"})
]


def _kind_of_chart(value: object) -> str:
    """Only one form is validated, so that only its errors are reported."""
    return "name" if isinstance(value, str) else "chart"


_Chart = Annotated[
    Annotated[Literal["default", "women", "men"], Tag("name")] | Annotated[SizeChart, Tag("chart")],
    Discriminator(_kind_of_chart),
]

EXAMPLE_REQUEST: Final[dict[str, Any]] = {
    "image_url": "https://photos.example.com/front.jpg",
    "height_cm": 172,
}
EXAMPLE_ANSWER: Final[dict[str, Any]] = {
    "recommended_size": "M",
    "measurements": {"chest_cm": 96.4, "waist_cm": 81.2, "hip_cm": 99.0, "height_cm": 172.0},
    "confidence": 0.62,
    "body_type": "average",  # or null
    "size_range": {"lower": "M", "upper": "L"},
    "size_odds": {"S": 0.14, "M": 0.62, "L": 0.24},
    "bands": {"chest_cm": [92.0, 100.9]},
    "warnings": [],
    "based_on": "front",
    "chart": "default",
    "garment": "top",
}


class Stated(BaseModel):
    """What the caller states about the person, in every form of request."""

    model_config = ConfigDict(extra="forbid")

    height_cm: float = Field(
        ge=HEIGHT_RANGE_CM[0], le=HEIGHT_RANGE_CM[1], description="Stature without shoes."
    )
    weight_kg: float | None = Field(
        None,
        ge=WEIGHT_RANGE_KG[0],
        le=WEIGHT_RANGE_KG[1],
        description="Narrows the bands the most.",
    )
    sex: Sex | None = None
    chart: _Chart = Field("default", description="A built-in chart, or a store's own.")
    garment: GarmentKind = Field(GarmentKind.TOP, description="Decides which girths count.")

    def to_request(self) -> EstimateRequest:
        """
        The measuring request.

        Raises:
            ChartUnusable: The chart has no girth that decides the garment's size.
        """
        chart = self.chart if isinstance(self.chart, SizeChart) else built_in_chart(self.chart)
        chart.girths_for(self.garment)
        return EstimateRequest(
            height_cm=self.height_cm,
            weight_kg=self.weight_kg,
            sex=self.sex,
            chart=chart,
            garment=self.garment,
        )


class EstimateBody(Stated):
    """JSON: addresses of the photos, a height, and whatever else is known of the person."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_REQUEST]})

    image_url: PhotoUrl = Field(description="Front photo: an https address.")
    side_image_url: PhotoUrl | None = Field(None, description="Photo taken exactly from the side.")


class EstimateForm(Stated):
    """A form with the photos as files. A store's own chart is JSON in its field."""

    image: Photo = Field(description="Front photo: JPEG, PNG or WebP.")
    side_image: Photo | None = Field(None, description="Photo taken exactly from the side.")


class EstimateQuery(Stated):
    """Query parameters of a request whose body is the front photo."""


class SizeRange(BaseModel):
    """The smallest run of sizes that holds the right one with 80 %."""

    lower: str
    upper: str


class Warned(BaseModel):
    """A warning about the numbers."""

    code: str
    text: str


class EstimateAnswer(BaseModel):
    """Girths in cm with bands, and what they mean for the size."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE_ANSWER]})

    recommended_size: str
    measurements: dict[str, float] = Field(description="In cm. Keys end in _cm.")
    confidence: float = Field(ge=0, le=1, description="Probability that the size is right.")
    body_type: str | None
    size_range: SizeRange
    size_odds: dict[str, float] = Field(description="Probability of each size of the chart.")
    bands: dict[str, tuple[float, float]] = Field(
        description="The interval holds the true value in 80 % of cases."
    )
    warnings: list[Warned]
    based_on: str = Field(description="What the numbers are based on, such as front+weight.")
    chart: str
    garment: str


class HaltedBreaker(BaseModel):
    """Calls that are halted."""

    name: str
    reason: str
    since: datetime
    next_probe_at: datetime


class HealthAnswer(BaseModel):
    """State of this process and what it needs."""

    status: Literal["ok", "degraded"]
    model_loaded: bool
    redis_connected: bool
    halted: list[HaltedBreaker]
    refunds_from: datetime | None


class Standing(BaseModel):
    """A probe's answer."""

    status: str


class Fault(BaseModel):
    """One validation error."""

    field: str = Field(description="Name of the field; empty if the request as a whole is wrong.")
    detail: str
    hint: str = Field("", description="For example the field that was probably meant.")


class Problem(BaseModel):
    """An error response."""

    detail: str = Field(description="What happened, in one sentence.")
    code: str = Field("", description="Stable name to branch on (docs/http.md).")
    hint: str = Field("", description="What to do.")
    faults: list[Fault] = Field([], description="Everything that is wrong with the request.")
