"""
Every setting, in one frozen class built once by an entry point and passed down.

The only module that reads the environment. `cross_checks` compares the durations.
"""

import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from wearon_cli.core.cross_checks import cross_checks
from wearon_cli.core.errors import ConfigError
from wearon_cli.core.provider_settings import (
    OPENAI_MODELS,
    PROVIDER_KEYS,
    read_address,
    read_list,
    read_order,
    read_runware_models,
    read_store_orders,
)

#: Required settings of a production role, by environment name. The key of each configured image
#: provider is required too.
PRODUCTION_NAMES: Final = ("REDIS_URL", "SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY")
Names = Annotated[tuple[str, ...], BeforeValidator(read_list)]


class Settings(BaseModel):
    """Settings of all roles. Environment names are WEARON_<FIELD> unless an alias is given."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, hide_input_in_errors=True, populate_by_name=True
    )

    redis_url: SecretStr | None = Field(
        None,
        validation_alias="REDIS_URL",
        description="Redis: redis://, rediss:// (its certificate is checked) or unix://.",
    )
    supabase_url: str | None = Field(
        None, validation_alias="SUPABASE_URL", description="Address of the Supabase project."
    )
    supabase_service_role_key: SecretStr | None = Field(
        None,
        validation_alias="SUPABASE_SERVICE_ROLE_KEY",
        description="Service role key. An anon key is refused at startup.",
    )
    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias="OPENAI_API_KEY",
        description="Key of OpenAI. Required where WEARON_PROVIDERS names openai, as by default.",
    )
    openai_base_url: str = Field(
        "https://api.openai.com/v1",
        validation_alias="OPENAI_BASE_URL",
        description="Address of OpenAI's API.",
    )
    openai_image_models: Names = Field(
        OPENAI_MODELS,
        validation_alias="OPENAI_IMAGE_MODELS",
        min_length=1,
        description="OpenAI image models, comma separated; the first available one is used.",
    )
    runware_api_key: SecretStr | None = Field(
        None,
        validation_alias="RUNWARE_API_KEY",
        description="Key of Runware. Required where runware is among the providers.",
    )
    runware_base_url: str = Field(
        "https://api.runware.ai/v1",
        validation_alias="RUNWARE_BASE_URL",
        description="Address of Runware's API.",
    )
    openai_api: Literal["images", "responses"] = Field(
        "images",
        description="OpenAI API to use: images answers directly; with responses a picture can "
        "still be fetched after a lost answer. `wearon doctor --paid` tries both.",
    )
    openai_outer_model: str = Field(
        "gpt-6-luna", description="Text model that calls the image tool (responses only)."
    )
    runware_models: Names = Field(
        ("p-image",),
        min_length=1,
        description="Runware models, comma separated: p-image, flux-vto, gpt-image-2, "
        "gpt-image-2.5-flare, gpt-image-2.5-sunburst, or MAKER:MODEL@VERSION.",
    )
    providers: Names = Field(
        ("openai",),
        description="Image providers in order, comma separated: openai, runware. The next one is "
        "used when one is halted, retired or out of credit.",
    )
    store_providers: Mapping[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Order of providers for individual merchant stores, as a JSON object: "
        '{"STORE_ID": ["runware", "openai"]}.',
    )
    next_provider_on_refusal: bool = Field(
        False, description="Also try the next provider after a moderation refusal."
    )
    openai_max_retries: int = Field(
        2,
        ge=0,
        le=5,
        validation_alias="OPENAI_MAX_RETRIES",
        description="Retries after an error of the image API.",
    )
    worker_concurrency: int = Field(
        240,
        ge=1,
        le=2000,
        validation_alias="WORKER_CONCURRENCY",
        description="Jobs in flight in one Celery process; 300 a minute at 40 s need 200.",
    )

    image_size: str = Field("1024x1536", description="Size of the generated picture.")
    image_quality: Literal["low", "medium", "high", "xhigh", "max", "auto"] = Field(
        "medium", description="Quality of the generated picture."
    )
    requests_per_minute: int = Field(
        300, ge=1, description="Image requests per minute, over all workers."
    )
    input_images_per_minute: int | None = Field(
        None, ge=1, description="Input images per minute, over all workers. Unset: no limit."
    )
    openai_timeout_s: float = Field(
        150.0, gt=0, description="Time limit of one paid call. The API documents up to 120 s."
    )
    fetch_timeout_s: float = Field(
        20.0, gt=0, description="Time limit of fetching one input picture."
    )
    permit_wait_s: float = Field(
        60.0,
        gt=0,
        description="Longest wait for the rate limit before the job goes back to the queue.",
    )
    supabase_timeout_s: float = Field(10.0, gt=0, description="Time limit of one call to Supabase.")
    attempt_budget_s: float = Field(300.0, gt=0, description="Time limit of one attempt at a job.")
    max_picture_bytes: int = Field(
        10 * 1024 * 1024,
        ge=1024,
        description="Largest input picture in bytes; the bucket has the same limit.",
    )
    max_picture_px: int = Field(
        50_000_000, ge=1_000_000, description="Most pixels an input picture may have."
    )
    pictures_in_memory: int = Field(
        32, ge=1, description="Original pictures held in memory at once by one Celery process."
    )
    fetch_origins: Names = Field(
        (), description="Additional origins that pictures may be fetched from, comma separated."
    )

    c2pa_certificate: Path | None = Field(
        None,
        description="Certificate chain (PEM) for signing pictures without provenance marks with "
        "content credentials (docs/provenance.md). Unset: no signature.",
    )
    c2pa_key: Path | None = Field(
        None, description="Private key (PEM, without a passphrase) of WEARON_C2PA_CERTIFICATE."
    )
    check_inputs: Literal["off", "flag", "refuse"] = Field(
        "refuse",
        description="Look at a job's photos before money: refuse what is certainly no use, or only "
        "flag it (docs/checks.md).",
    )
    check_results: Literal["off", "flag", "retry", "fail"] = Field(
        "flag",
        description="Check generated pictures: flag suspect ones, buy one more, or fail the job.",
    )

    lease_s: float = Field(15.0, gt=0, description="Lifetime of a worker process's lease.")
    lease_renew_s: float = Field(
        4.0, gt=0, description="How often a worker process renews its lease."
    )
    heartbeat_s: float = Field(10.0, gt=0, description="Interval of a consumer's heartbeat.")
    recovery_interval_s: float = Field(
        5.0, gt=0, description="How often `consume` runs a recovery pass."
    )
    max_deaths: int = Field(
        5, ge=1, description="A job without a picture fails after as many deaths of its workers."
    )
    max_purchases: int = Field(
        3,
        ge=1,
        le=10,
        description="Most pictures bought for one session; each replay starts a new count.",
    )
    b2c_buy_within_s: float = Field(
        350.0,
        gt=0,
        description="No picture is bought for a b2c session older than this. The platform fails "
        "and refunds b2c sessions after 600 s; buying and storing the picture must "
        "finish before that.",
    )
    max_wait_s: float = Field(
        1800.0,
        gt=0,
        description="A job fails after waiting this long for rate limits and outages.",
    )
    orphan_age_s: float = Field(
        1200.0, gt=0, description="Age at which an open row without a job is failed."
    )
    drain_s: float = Field(
        100.0, gt=0, description="How long running jobs may finish after SIGTERM."
    )
    stop_grace_s: float = Field(
        120.0,
        gt=0,
        description="Seconds after SIGTERM at which the container is killed (stop_grace_period).",
    )

    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65534,
        description="Port of `consume`'s /metrics; `celery` uses the next port. Unset: none. "
        "`serve` has /metrics on its own port.",
    )
    metrics_host: str = Field("127.0.0.1", description="Address that the metrics ports listen on.")
    host: str = Field("127.0.0.1", description="Address `serve` listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port `serve` listens on; 0: any free.")
    http_token: SecretStr | None = Field(
        None, description="Bearer token required to call /estimate-body. Unset: none required."
    )
    http_requests_per_minute: int = Field(
        3000, ge=1, description="Photos per minute that one caller (IP address) may have measured."
    )
    http_trusted_proxies: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(read_list)] = Field(
        (),
        description="Networks of the proxies in front of `serve`, comma separated. X-Forwarded-For "
        "is believed from these alone; without it a proxy's callers share one limit.",
    )
    http_docs: bool = Field(False, description="Show the HTTP reference at /docs.")
    bucket: str = Field("virtual-tryon-images", description="Storage bucket of inputs and results.")
    pose_model: Path | None = Field(None, description="Pose model file instead of the cached one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level to log."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="json, console, or auto: console on a terminal."
    )
    ready_fd: int | None = Field(
        None,
        description="File descriptor on which a role reports readiness. Set by `wearon all`.",
    )
    local_keep_s: float = Field(
        2_592_000.0,
        gt=0,
        description="Age at which pictures of a local stack are removed; 30 days.",
    )
    local_dir: Path | None = Field(
        None, description="Data folder of the local stack, which replaces Supabase. Set by --local."
    )

    _order = field_validator("providers")(read_order)
    _store_orders = field_validator("store_providers", mode="before")(read_store_orders)
    _runware = field_validator("runware_models")(read_runware_models)
    _addresses = field_validator("openai_base_url", "runware_base_url")(read_address)

    @model_validator(mode="after")
    def _numbers_fit_together(self) -> Self:
        for fault in cross_checks(self):
            raise ValueError(fault)
        return self

    @property
    def drain_holds_a_call(self) -> bool:
        """
        False when a paid call can take longer than the drain. Its picture is then fetched later by
        its ticket; if the provider has no tickets it is lost, and may be bought again.
        """
        return self.openai_timeout_s <= self.drain_s

    @property
    def is_local(self) -> bool:
        """True when rows, credits and files are in `local_dir` instead of Supabase."""
        return self.local_dir is not None

    @property
    def draws_previews(self) -> bool:
        """True when a local stack has no key of any image provider."""
        return self.is_local and self.openai_api_key is None and self.runware_api_key is None

    @property
    def provider_order(self) -> tuple[str, ...]:
        """The image providers that are asked, in order."""
        return ("preview",) if self.draws_previews else self.providers

    @property
    def provider_names(self) -> tuple[str, ...]:
        """Every image provider in use, including those of individual stores."""
        of_stores = (name for order in self.store_providers.values() for name in order)
        return tuple(dict.fromkeys((*self.provider_order, *of_stores)))

    @property
    def model_names(self) -> tuple[str, ...]:
        """Every configured image model as PROVIDER:MODEL: by provider, in order within each."""
        models = {"openai": self.openai_image_models, "runware": self.runware_models}
        return tuple(
            f"{provider}:{model}"
            for provider in self.provider_names
            for model in models.get(provider, (provider,))
        )

    def provider_key(self, provider: str) -> SecretStr | None:
        """The key of one image provider; None when it is not set, or it needs none."""
        return {"openai": self.openai_api_key, "runware": self.runware_api_key}.get(provider)

    @property
    def production_names(self) -> tuple[str, ...]:
        """Settings that production needs, by environment name."""
        keys = (PROVIDER_KEYS[name] for name in self.provider_names if name in PROVIDER_KEYS)
        return (*PRODUCTION_NAMES, *keys)

    def require_production(self) -> None:
        """
        Check that what production needs is set.

        Raises:
            ConfigError: It names every missing variable.
        """
        values = {
            "REDIS_URL": self.redis_url,
            "SUPABASE_URL": self.supabase_url,
            "SUPABASE_SERVICE_ROLE_KEY": self.supabase_service_role_key,
            **{variable: self.provider_key(name) for name, variable in PROVIDER_KEYS.items()},
        }
        if missing := [name for name in self.production_names if not values[name]]:
            raise ConfigError(
                f"missing settings: {', '.join(missing)}",
                hint="set them in the environment or in .env, or use --local",
            )


def load_settings(**overrides: Any) -> Settings:
    """
    Read the environment and `.env`; keyword arguments override both.

    Raises:
        ConfigError: Names the invalid variables, never their values; or `.env` cannot be read.
    """
    try:
        return Settings(**{**_environment(), **overrides})
    except ValidationError as exc:
        faults = "; ".join(
            f"{_environment_name(e['loc'])}{e['msg'].removeprefix('Value error, ')}"
            for e in exc.errors(include_url=False, include_context=False, include_input=False)
        )
        raise ConfigError(faults, hint="docs/configuration.md lists every setting") from exc


def _environment() -> dict[str, Any]:
    """The settings of the environment and of `.env`, as text; empty ones count as unset."""
    variables = os.environ.items()  # noqa: TID251 - the one place
    found = {**_env_file(), **{name.upper(): text for name, text in variables if text}}
    named = {name: _variable(name) for name in Settings.model_fields}
    return {name: found[variable] for name, variable in named.items() if variable in found}


def _env_file() -> dict[str, str]:
    named = os.environ.get("WEARON_ENV_FILE")  # noqa: TID251 - the one place
    file = Path(named or ".env")  # in the working folder
    if not named and not file.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        lines = StringIO(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        which = "the file that WEARON_ENV_FILE names" if named else ".env"
        raise ConfigError(f"{which} cannot be read", hint="it must be text in UTF-8") from exc
    return {name.upper(): text for name, text in dotenv_values(stream=lines).items() if text}


def _variable(name: str) -> str:
    """The environment name of a field."""
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"WEARON_{name.upper()}"


def _environment_name(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else ""
    return f"{_variable(name) if name in Settings.model_fields else name}: " if name else ""
