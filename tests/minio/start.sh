#!/usr/bin/env bash
# Starts an S3 server (MinIO, at the version that go.mod beside this file pins)
# for the tests, on a free port of this machine alone, with a fresh folder for
# its data. Prints two lines that a shell can take in:
#
#	export DALEL_TEST_S3=http://KEY:SECRET@127.0.0.1:PORT
#	export DALEL_TEST_S3_PID=PID
#
# so that a caller writes
#
#	eval "$(tests/minio/start.sh)"
#	trap 'kill "$DALEL_TEST_S3_PID"' EXIT
#
# When that process is told to end, the server ends with it and its data is
# removed. The server is built once and kept under
# ${XDG_CACHE_HOME:-$HOME/.cache}/dalel, by the hash of go.sum. What goes wrong
# is said on standard error.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

cache=${XDG_CACHE_HOME:-$HOME/.cache}/dalel
sum=$(cat "$here/go.mod" "$here/go.sum" | sha256sum | cut -c 1-16)
server=$cache/minio-$sum-$(go env GOOS)-$(go env GOARCH)
if [ ! -x "$server" ]; then
  mkdir -p "$cache"
  echo "building MinIO for the tests of dalel/blobs/s3; this takes some minutes, once" >&2
  # Under a name of its own first: two that build at once do not meet.
  (cd "$here" && go build -o "$server.$$" github.com/minio/minio)
  mv -f "$server.$$" "$server"
fi

work=$(mktemp -d)
key=dalel$RANDOM
secret=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

# healthy asks the server on a port whether it is ready.
healthy() {
  local answer
  exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
  printf 'GET /minio/health/cluster HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3
  IFS= read -r -t 5 answer <&3 || answer=
  exec 3>&-
  [[ $answer == *" 200 "* ]]
}

for _ in 1 2 3 4 5; do
  port=$((20000 + RANDOM % 20000))
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then continue; fi # somebody is there
  # The keeper: ends the server when it is told to, and removes the data.
  (
    MINIO_ROOT_USER=$key MINIO_ROOT_PASSWORD=$secret MINIO_BROWSER=off MINIO_UPDATE=off MINIO_CI_CD=1 \
      "$server" server --quiet --address "127.0.0.1:$port" "$work/data" &
    child=$!
    trap 'kill "$child" 2>/dev/null || true' TERM INT HUP
    while kill -0 "$child" 2>/dev/null; do wait "$child" || true; done
    rm -rf "$work"
  ) >"$work.log" 2>&1 </dev/null &
  keeper=$!
  for _ in $(seq 150); do
    if (healthy "$port") 2>/dev/null; then
      printf 'export DALEL_TEST_S3=http://%s:%s@127.0.0.1:%s\n' "$key" "$secret" "$port"
      printf 'export DALEL_TEST_S3_PID=%s\n' "$keeper"
      rm -f "$work.log"
      exit 0
    fi
    kill -0 "$keeper" 2>/dev/null || break
    sleep 0.2
  done
  kill "$keeper" 2>/dev/null || true
  wait "$keeper" 2>/dev/null || true
  mkdir -p "$work"
done
echo "MinIO did not start:" >&2
cat "$work.log" >&2 || true
rm -rf "$work" "$work.log"
exit 1
