#!/bin/sh
# Declares a queue, publishes to it and looks at it, all over HTTP. Needs: curl
set -eu
api=${1:-http://127.0.0.1:15672/api}

# ask METHOD PATH [JSON]
ask() {
    curl --silent --show-error --fail --user guest:guest --request "$1" "$api$2" \
        --header 'content-type: application/json' ${3:+--data "$3"}
}

ask PUT /queues/%2F/rain '{"durable": true, "arguments": {"x-max-length": 1000}}'
answer=$(ask POST /exchanges/%2F/amq.default/publish '{
    "routing_key": "rain", "properties": {"delivery_mode": 2}, "payload": "5 mm", "payload_encoding": "string"
}')
echo "$answer"
test "$answer" = '{"routed":true}'

ask GET '/queues/%2F/rain?columns=name,type,durable,arguments'
echo
ask DELETE /queues/%2F/rain/contents
ask DELETE /queues/%2F/rain
