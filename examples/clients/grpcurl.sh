#!/usr/bin/env bash
# Crawl a site on a running Weir and print its items, by gRPC from a shell. It needs grpcurl
# (make example-tools builds it into bin/tools) and jq.
#
#   examples/clients/grpcurl.sh 127.0.0.1:7070 https://shop.example/
#
# WEIR_TOKEN is the token, where the server wants one. For a server with TLS set FLAGS to
# "-cacert ca.crt" instead of -plaintext. grpcurl asks the server which services it has; where
# grpc.reflection is false, add "-import-path proto -proto weir/scheduler/v1/scheduler.proto …".
set -euo pipefail
server=$1 seed=$2
read -ra flags <<<"${FLAGS:--plaintext}"
[ -z "${WEIR_TOKEN:-}" ] || flags+=(-H "authorization: Bearer $WEIR_TOKEN")
crawls=weir.scheduler.v1.CrawlService storage=weir.storage.v1.StorageService

call() { # METHOD, and a message on stdin
  "${GRPCURL:-grpcurl}" "${flags[@]}" -d @ "$server" "$1"
}

id=$(jq -n --arg seed "$seed" --arg delay "${DELAY:-1s}" \
  '{spec: {name: "grpcurl", seeds: {urls: [$seed]}, politeness: {delay: $delay}, limits: {pages: 100}}}' |
  call "$crawls/CreateCrawl" | jq -r .crawl.id)
jq -n --arg id "$id" --arg seed "$seed" '{crawl: $id, urls: [$seed]}' | call "$crawls/AddURLs" >&2
jq -n --arg id "$id" '{crawl: $id}' | call "$crawls/CloseCrawl" | jq -r .crawl.state >&2
# Items as they come, until the crawl has ended. A field of bytes is Base64 in JSON.
jq -n --arg id "$id" '{crawl_id: $id}' | call "$storage/Tail" | jq -c '.items[]?.json | @base64d | fromjson'
jq -n --arg id "$id" '{crawl: $id, timeout: "60s"}' | call "$crawls/WaitCrawl" | jq -r '"\(.crawl.state) \(.crawl.stats.pages // 0) pages"' >&2
