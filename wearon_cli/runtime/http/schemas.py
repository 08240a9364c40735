"""What the HTTP app takes and answers, as callers see it (contract and OpenAPI document)."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from wearon_cli.core.body.sizes import SizeChart
from wearon_cli.core.body.stated import HEIGHT_RANGE_CM, WEIGHT_RANGE_KG, GarmentKind, Sex

PhotoUrl = Annotated[str, Field(min_length=1, max_length=8192)]

_EXAMPLE_REQUEST: Final[dict[str, Any]] = {
    "image_url": "https://photos.example.com/front.jpg",
    "height_cm": 172,
}
_EXAMPLE_ANSWER: Final[dict[str, Any]] = {
    "recommended_size": "M",
    "measurements": {"chest_cm": 96.4, "waist_cm": 81.2, "hip_cm": 99.0, "height_cm": 172.0},
    "confidence": 0.62,
    "body_type": None,
    "size_range": {"lower": "M", "upper": "L"},
    "size_odds": {"S": 0.14, "M": 0.62, "L": 0.24},
    "bands": {"chest_cm": [92.0, 100.9]},
    "warnings": [],
    "based_on": "front",
    "chart": "default",
    "garment": "top",
}


class EstimateBody(BaseModel):
    """A photo, a height, and whatever else is known of the person."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE_REQUEST]})

    image_url: PhotoUrl = Field(description="The photo, from the front. https.")
    height_cm: float = Field(
        ge=HEIGHT_RANGE_CM[0], le=HEIGHT_RANGE_CM[1], description="Stature without shoes."
    )
    weight_kg: float | None = Field(
        None, ge=WEIGHT_RANGE_KG[0], le=WEIGHT_RANGE_KG[1], description="Narrows the bands most."
    )
    sex: Sex | None = None
    side_image_url: PhotoUrl | None = Field(None, description="A photo exactly from the side.")
    chart: Literal["default", "women", "men"] | SizeChart = Field(
        "default", description="A chart that comes with the product, or a store's own."
    )
    garment: GarmentKind = Field(GarmentKind.TOP, description="Decides which girths count.")


class SizeRange(BaseModel):
    """The smallest run of sizes that holds the right one with 80 %."""

    lower: str
    upper: str


class Warned(BaseModel):
    """A remark on the numbers."""

    code: str
    text: str


class EstimateAnswer(BaseModel):
    """Girths in cm with bands, and what they mean for the size."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE_ANSWER]})

    recommended_size: str
    measurements: dict[str, float] = Field(description="In cm. Keys end in _cm.")
    confidence: float = Field(ge=0, le=1, description="Probability that the size is right.")
    body_type: str | None
    size_range: SizeRange
    size_odds: dict[str, float] = Field(description="Probability of each size of the chart.")
    bands: dict[str, tuple[float, float]] = Field(description="80 % of people lie inside.")
    warnings: list[Warned]
    based_on: str = Field(description="What the numbers rest on, such as front+weight.")
    chart: str
    garment: str


class HaltedBreaker(BaseModel):
    """Calls that do not go out for now."""

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


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str = Field(description="What happened, in one sentence.")
    code: str = Field("", description="Stable name to branch on (docs/http.md).")
    hint: str = Field("", description="What to do.")
