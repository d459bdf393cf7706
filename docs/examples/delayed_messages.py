"""A message that is routed a second after it was published. Needs: pip install pika"""

import sys
import time

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()

# It routes as the type in x-delayed-type does, when the time in the header x-delay is over.
channel.exchange_declare("later", "x-delayed-message", durable=True, arguments={"x-delayed-type": "direct"})
channel.queue_declare("reminders", durable=True)
channel.queue_bind("reminders", "later", "reminders")

start = time.monotonic()
for body, delay in [(b"second", 1000), (b"first", 100), (b"at once", 0)]:
    properties = pika.BasicProperties(delivery_mode=2, headers={"x-delay": delay})
    channel.basic_publish("later", "reminders", body, properties)
bodies = []
for _, _, body in channel.consume("reminders", auto_ack=True):
    print(f"{body.decode()} after {time.monotonic() - start:.1f} s")
    bodies.append(body)
    if len(bodies) == 3:
        break
channel.cancel()
assert bodies == [b"at once", b"first", b"second"]
assert time.monotonic() - start >= 1

channel.queue_delete("reminders")
channel.exchange_delete("later")
connection.close()
