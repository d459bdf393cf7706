"""A queue that drops its oldest message, and one that refuses the newest. Needs: pip install pika"""

import sys

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()

channel.queue_declare("latest", durable=True, arguments={"x-max-length": 2})
for body in (b"1", b"2", b"3"):
    channel.basic_publish("", "latest", body)
_, _, body = channel.basic_get("latest", auto_ack=True)
print("the oldest that is left:", body.decode())
assert body == b"2"

limits = {"x-max-length": 2, "x-overflow": "reject-publish"}
channel.queue_declare("full", durable=True, arguments=limits)
channel.basic_publish("", "full", b"1")
channel.basic_publish("", "full", b"2")
try:
    channel.basic_publish("", "full", b"3")
    raise SystemExit("it was taken")
except pika.exceptions.NackError:
    print("the third one was refused")

channel.queue_delete("latest")
channel.queue_delete("full")
connection.close()
