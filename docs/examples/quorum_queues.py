"""A message that fails too often leaves a quorum queue. Needs: pip install pika"""

import sys

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()

channel.queue_declare("failed-orders", durable=True)
arguments = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 2,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": "failed-orders",
}
channel.queue_declare("orders", durable=True, arguments=arguments)
channel.basic_publish("", "orders", b"impossible", pika.BasicProperties(delivery_mode=2))

for method, properties, body in channel.consume("orders", inactivity_timeout=2):
    if method is None:
        break
    print("delivered; failed before:", (properties.headers or {}).get("x-delivery-count", 0))
    # basic.reject counts, basic.nack does not: see the page.
    channel.basic_reject(method.delivery_tag, requeue=True)
channel.cancel()

_, properties, _ = channel.basic_get("failed-orders", auto_ack=True)
print("dead:", properties.headers["x-death"][0]["reason"])
assert properties.headers["x-death"][0]["reason"] == "delivery_limit"

channel.queue_delete("orders")
channel.queue_delete("failed-orders")
connection.close()
