#!/bin/sh
# On the host: run IMAGE, and roll back to the previous image if it does not become healthy.
# Running jobs are finished or handed back meanwhile (stop_grace_period); none is lost.
set -eu
cd "$(dirname "$0")"
: "${IMAGE:?names the image to run}"

compose() { docker compose --file compose.yaml --env-file .env "$@"; }

# Healthy: `serve` can measure, Redis answers, and `wearon doctor` passes.
healthy() {
    for _ in $(seq 30); do
        if compose exec -T serve python -m wearon_cli.runtime.ops.probe &&
            compose exec -T consume wearon doctor >/dev/null; then
            return 0
        fi
        sleep 5
    done
    compose exec -T consume wearon doctor >&2 || true
    return 1
}

before=$(sed -n 's/^WEARON_IMAGE=//p' .env)
run() {
    sed -i "s|^WEARON_IMAGE=.*|WEARON_IMAGE=$1|" .env
    compose up --detach --remove-orphans --wait-timeout 180
}

compose pull --quiet proxy prometheus grafana
docker pull --quiet "$IMAGE"
run "$IMAGE"
if healthy; then
    echo "runs $IMAGE"
    exit 0
fi
echo "not healthy: going back to $before" >&2
run "$before"
healthy && echo "runs $before again" >&2
exit 1
