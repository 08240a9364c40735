"""
The queue contract: the JSON document the platform LPUSHes for every try-on.

Neither side may change it unilaterally. Unknown extra keys are accepted; a higher version is not.
"""

from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from pydantic import (
    AnyHttpUrl,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from wearon_cli.core.errors import TaskInvalid
from wearon_cli.core.payloads import MAX_PAYLOAD_BYTES
from wearon_cli.core.session import Channel, SessionKey, Status, utc_now

#: The only version of the document this worker understands.
VERSION: Final = 1

_URL: Final = TypeAdapter(AnyHttpUrl)


class ReplayRequest(BaseModel):
    """What an operator asked for, in the payload of a job that `wearon replay-task` opened."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    replay_id: str = Field(pattern=r"^[0-9a-f]{8}$")  # names its credit in the ledger
    #: Status of the row when the replay was planned. A final row is not changed until the new
    #: picture is stored; then it moves, and only from this status.
    from_status: Status
    fresh: bool = False  # draw again although a picture is stored
    model: str | None = None  # use this image model instead of the configured ones
    charge: bool = False  # take a credit before anything is generated
    by: str = ""  # who asked
    reason: str = ""
    letter_id: str | None = None  # the dead letter that it replays: dropped when it has completed


class Task(BaseModel):
    """One job, as pushed."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    task_id: UUID
    channel: Channel
    store_id: UUID | None = None
    user_id: UUID | None = None
    session_id: UUID
    #: Person, garment, accessories. The platform has no limit for b2c; this contract does.
    image_urls: tuple[str, ...] = Field(min_length=1)
    prompt: str = Field(default="", max_length=32_000)
    request_id: str = Field(min_length=1, max_length=512)
    version: int = VERSION
    created_at: AwareDatetime
    replay: ReplayRequest | None = None

    @field_validator("version")
    @classmethod
    def _known_version(cls, version: int) -> int:
        if not 1 <= version <= VERSION:
            raise ValueError(f"version {version} is not supported (1 to {VERSION})")
        return version

    @field_validator("image_urls")
    @classmethod
    def _addresses(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            _URL.validate_python(url)
        return urls

    @model_validator(mode="after")
    def _owner_of_the_channel(self) -> "Task":
        if (self.store_id if self.channel is Channel.B2B else self.user_id) is None:
            raise ValueError(f"{self.channel.owner_column} is required for {self.channel.value}")
        return self

    @property
    def owner_id(self) -> str:
        """Id of the store or user whose credit was taken."""
        return str(self.store_id if self.channel is Channel.B2B else self.user_id)

    @property
    def key(self) -> SessionKey:
        return SessionKey(channel=self.channel, session_id=str(self.session_id))

    def age_s(self, now: datetime) -> float:
        """Seconds since the producer created this job."""
        return (now - self.created_at).total_seconds()

    def to_json(self) -> bytes:
        """The document as the platform writes it: the other channel's owner key is absent."""
        return self.model_dump_json(exclude_none=True).encode()


def new_task(
    *,
    key: SessionKey,
    owner_id: str,
    image_urls: tuple[str, ...],
    prompt: str,
    request_id: str,
    replay: ReplayRequest | None = None,
) -> Task:
    """Create the job document for a session, as the platform does."""
    owner: dict[str, Any] = {key.channel.owner_column: owner_id}
    return Task(
        task_id=uuid4(),
        channel=key.channel,
        session_id=UUID(key.session_id),
        image_urls=image_urls,
        prompt=prompt,
        request_id=request_id,
        created_at=utc_now(),
        replay=replay,
        **owner,
    )


def parse_task(raw: bytes) -> Task:
    """
    Read one payload.

    Raises:
        TaskInvalid: It is invalid. The message names the fields, never their values.
    """
    if len(raw) > MAX_PAYLOAD_BYTES:
        raise TaskInvalid(f"payload of {len(raw)} bytes, over {MAX_PAYLOAD_BYTES}")
    try:
        return Task.model_validate_json(raw)
    except ValidationError as exc:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}"
            for e in exc.errors(include_url=False, include_context=False, include_input=False)
        )
        raise TaskInvalid(faults) from exc
