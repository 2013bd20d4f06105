#!/bin/sh
# Runs tritonserver, and drains it when asked to end: first it stops being ready, so that no new requests are sent here,
# then it is told to end, which waits for the requests it has (--exit-timeout-secs).
#
# Arguments go to tritonserver. Environment:
#   HITFABRIC_MODELS         model repository (/models/repository)
#   HITFABRIC_DRAIN_SECONDS  time that load balancers get to notice (15)
#   HITFABRIC_EXIT_SECONDS   time that requests get to finish (30)
#   HITFABRIC_SHUTDOWN       file that says "not ready"; a preStop hook that has made it has waited already
#   TRITONSERVER             the executable
set -eu

server=${TRITONSERVER:-/opt/tritonserver/bin/tritonserver}
models=${HITFABRIC_MODELS:-/models/repository}
drain=${HITFABRIC_DRAIN_SECONDS:-15}
finish=${HITFABRIC_EXIT_SECONDS:-30}
shutdown=${HITFABRIC_SHUTDOWN:-/tmp/shutdown}

if [ ! -d "$models" ]; then
  echo "serve: $models is no model repository; mount one there, or set HITFABRIC_MODELS" >&2
  exit 2
fi
rm -f "$shutdown"

stopping=
# shellcheck disable=SC2329  # the trap calls it
stop() {
  trap '' TERM INT
  stopping=yes
  if [ ! -e "$shutdown" ]; then
    : >"$shutdown"
    echo "serve: not ready from now on, ending in $drain s" >&2
    sleep "$drain"
  fi
  kill -TERM "$child" 2>/dev/null || true
}

"$server" --model-repository="$models" --exit-timeout-secs="$finish" --exit-on-error=true --strict-readiness=true \
  --allow-gpu-metrics=false --log-format=ISO8601 "$@" &
child=$!
trap stop TERM INT

# A signal interrupts `wait`: wait again, and end as the server did. (127: it had ended before the signal came.)
status=0
wait "$child" || status=$?
if [ -n "$stopping" ]; then
  again=0
  wait "$child" || again=$?
  [ "$again" = 127 ] || status=$again
fi
exit "$status"
