"""What a consumer rejects comes again later, twice, and is then dead-lettered. Needs: pip install pika"""

import sys
import time

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()

channel.queue_declare("lost-calls", durable=True)
arguments = {
    "x-retry-delays": "200ms,1s",
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": "lost-calls",
}
channel.queue_declare("calls", durable=True, arguments=arguments)
channel.basic_publish("", "calls", b"ring", pika.BasicProperties(delivery_mode=2))

start, attempts = time.monotonic(), []
for method, properties, _ in channel.consume("calls", inactivity_timeout=3):
    if method is None:
        break
    retries = (properties.headers or {}).get("x-retry-count", 0)
    print(f"retry {retries} after {time.monotonic() - start:.1f} s")
    attempts.append(retries)
    channel.basic_reject(method.delivery_tag, requeue=False)
channel.cancel()
assert attempts == [0, 1, 2]

_, properties, _ = channel.basic_get("lost-calls", auto_ack=True)
print("dead:", properties.headers["x-death"][0]["reason"])
assert properties.headers["x-death"][0]["reason"] == "delivery_limit"

channel.queue_delete("calls")
channel.queue_delete("lost-calls")
connection.close()
