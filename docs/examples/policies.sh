#!/bin/sh
# Limits all queues whose names start with "log.", and lets an operator limit them further. Needs: curl
set -eu
api=${1:-http://127.0.0.1:15672/api}

# ask METHOD PATH [JSON]
ask() {
    curl --silent --show-error --fail --user guest:guest --request "$1" "$api$2" \
        --header 'content-type: application/json' ${3:+--data "$3"}
}

ask PUT /queues/%2F/log.web '{"durable": true}'
ask PUT /policies/%2F/logs '{
    "pattern": "^log[.]", "apply-to": "queues", "priority": 10,
    "definition": {"max-length": 1000, "message-ttl": 86400000, "overflow": "reject-publish"}
}'
ask PUT /operator-policies/%2F/small '{
    "pattern": ".*", "apply-to": "queues", "definition": {"max-length": 100}
}'

# What the two say together. RabbitMQ shows it some seconds after it is in force.
for attempt in $(seq 20); do
    queue=$(ask GET '/queues/%2F/log.web?columns=policy,operator_policy,effective_policy_definition')
    case $queue in *'"max-length":100,'*) break ;; esac
    test "$attempt" -lt 20
    sleep 0.5
done
echo "$queue"

ask DELETE /operator-policies/%2F/small
ask DELETE /policies/%2F/logs
ask DELETE /queues/%2F/log.web
