#!/bin/sh
# A user who may publish orders of one kind and nothing else. Needs: curl
set -eu
api=${1:-http://127.0.0.1:15672/api}

# ask METHOD PATH [JSON]
ask() {
    curl --silent --show-error --fail --user "${user:-guest:guest}" --request "$1" "$api$2" \
        --header 'content-type: application/json' ${3:+--data "$3"}
}

ask PUT /users/anna '{"password": "secret", "tags": "management"}'
ask PUT /permissions/%2F/anna '{"configure": "", "write": "^amq[.]topic$", "read": ""}'
ask PUT /topic-permissions/%2F/anna '{"exchange": "amq.topic", "write": "^orders[.]", "read": ""}'

publish='"properties": {}, "payload": "1", "payload_encoding": "string"'
user=anna:secret
ask GET /whoami
echo
ask POST /exchanges/%2F/amq.topic/publish "{\"routing_key\": \"orders.new\", $publish}"
echo
# curl says that it was refused, with 400.
if ask POST /exchanges/%2F/amq.topic/publish "{\"routing_key\": \"invoices.new\", $publish}"; then
    echo "it was allowed"
    exit 1
fi
user=guest:guest
ask DELETE /users/anna
