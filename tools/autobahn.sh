#!/usr/bin/env bash
# Have the Autobahn test suite judge the message layer: our server by its client, our client by its server, each read
# in the lane and by the event loop, on uvloop and on asyncio. Everything is bound to 127.0.0.1.
#   tools/autobahn.sh             # every group but compression, which is not offered
#   tools/autobahn.sh '7.*' 6.2.3 # these cases only; then nothing but failures counts
# PYTHON2 names a Python 2.7, for which alone there is an autobahntestsuite; pyenv's newest is taken without.
set -euo pipefail
cd "$(dirname "$0")/.."

build=$PWD/build/autobahn
python2=${PYTHON2:-$(compgen -G "$HOME/.pyenv/versions/2.7.*/bin/python" | tail -n 1 || true)}
first_port=${PORT:-9100}
variants=(lane:uvloop lane:asyncio loop:uvloop loop:asyncio)
export PYTHONPATH=$PWD/src${PYTHONPATH:+:$PYTHONPATH}

if [ ! -x "$build/venv/bin/wstest" ]; then
    if [ ! -x "$python2" ]; then
        echo "there is no Python 2.7: install one (pyenv install 2.7.18) or name it in PYTHON2" >&2
        exit 2
    fi
    env -u PYTHONPATH "$python2" -m pip install -q --disable-pip-version-check --user 'virtualenv<20.22'
    env -u PYTHONPATH "$python2" -m virtualenv -q "$build/venv"
    "$build/venv/bin/pip" install -q --disable-pip-version-check 'autobahntestsuite==25.10.*'
fi
cat >"$build/wstest.py" <<'PYTHON'
import functools
from autobahntestsuite import fuzzing, wstest
fuzzing.listenWS = functools.partial(fuzzing.listenWS, interface="127.0.0.1")  # else it listens everywhere
wstest.run()
PYTHON
wstest() (exec env -u PYTHONPATH "$build/venv/bin/python" "$build/wstest.py" "$@")

started=()
# shellcheck disable=SC2317  # the trap calls it
stop() {
    kill "${started[@]}" 2>/dev/null || true
    wait "${started[@]}" 2>/dev/null || true
}
trap stop EXIT

await_port() {
    for _ in $(seq 300); do
        if (: >"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
        sleep 0.1
    done
    echo "nobody listens on port $1; see $build/*.log" >&2
    exit 1
}

cases='"*"'
if [ $# -gt 0 ]; then
    cases=$(printf '"%s", ' "$@")
    cases=${cases%, }
fi
rm -rf "$build/server" "$build/client"
rest="\"cases\": [$cases], \"exclude-cases\": [\"12.*\", \"13.*\"], \"exclude-agent-cases\": {}"

servers=
port=$first_port
for variant in "${variants[@]}"; do
    port=$((port + 1))
    python tests/autobahn/echo.py serve --port "$port" --reader "${variant%:*}" --loop "${variant#*:}" \
        2>"$build/serve-$port.log" &
    started+=($!)
    servers+="${servers:+, }{\"agent\": \"${variant/:/, }\", \"url\": \"ws://127.0.0.1:$port\"}"
    await_port "$port"
done
echo "{\"outdir\": \"$build/server\", \"servers\": [$servers], $rest}" >"$build/server.json"
wstest -m fuzzingclient -s "$build/server.json" >"$build/fuzzingclient.log" 2>&1

echo "{\"outdir\": \"$build/client\", \"url\": \"ws://127.0.0.1:$first_port\", $rest}" >"$build/client.json"
env -u PYTHONPATH "$build/venv/bin/python" "$build/wstest.py" -m fuzzingserver -u 0 -s "$build/client.json" >"$build/fuzzingserver.log" 2>&1 &
started+=($!)
await_port "$first_port"
for variant in "${variants[@]}"; do
    python tests/autobahn/echo.py ask --url "ws://127.0.0.1:$first_port" --agent "${variant/:/, }" \
        --reader "${variant%:*}" --loop "${variant#*:}" 2>"$build/ask-${variant/:/-}.log"
done

some=()
[ $# -eq 0 ] || some=(--some)
python tests/autobahn/report.py "${some[@]}" "$build/server/index.json" "$build/client/index.json"
