#!/bin/sh
# Says by its exit status whether the server is live, or ready for new requests.
#   health live | ready
# Environment: HITFABRIC_HTTP (127.0.0.1:8000), HITFABRIC_SHUTDOWN as for serve.
set -eu

case ${1:-} in
  live) ;;
  ready)
    if [ -e "${HITFABRIC_SHUTDOWN:-/tmp/shutdown}" ]; then
      echo "health: ending" >&2
      exit 1
    fi
    ;;
  *)
    echo "usage: health live|ready" >&2
    exit 2
    ;;
esac
exec curl --silent --show-error --fail --max-time 4 --output /dev/null "http://${HITFABRIC_HTTP:-127.0.0.1:8000}/v2/health/$1"
