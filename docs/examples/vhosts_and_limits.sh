#!/bin/sh
# A vhost whose queues are quorum queues, and of which there may be one. Needs: curl
set -eu
api=${1:-http://127.0.0.1:15672/api}

# ask METHOD PATH [JSON]
ask() {
    curl --silent --show-error --fail --user guest:guest --request "$1" "$api$2" \
        --header 'content-type: application/json' ${3:+--data "$3"}
}

ask PUT /vhosts/shop '{"description": "web shop", "tags": "production", "default_queue_type": "quorum"}'
ask PUT /permissions/shop/guest '{"configure": ".*", "write": ".*", "read": ".*"}'
ask PUT /vhost-limits/shop/max-queues '{"value": 1}'
ask PUT /user-limits/guest/max-channels '{"value": 1000}'

ask PUT /queues/shop/orders '{"durable": true}'
ask GET /vhost-limits/shop
echo
# curl says that it was refused, with 400.
if ask PUT /queues/shop/invoices '{"durable": true}'; then
    echo "it was allowed"
    exit 1
fi

ask DELETE /user-limits/guest/max-channels
ask DELETE /vhosts/shop
