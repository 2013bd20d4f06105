#!/usr/bin/env bash
# Post-renderer for Helm 3: manifests in, patched manifests out.
#   helm install hitfabric fastml/supersonic --version 0.3.1 -f values.yaml -f values-<place>.yaml \
#     --post-renderer deploy/supersonic/post-render.sh
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp "$(dirname "${BASH_SOURCE[0]}")"/patch/*.yaml "$folder"
cat >"$folder/rendered.yaml"
kubectl kustomize "$folder"
