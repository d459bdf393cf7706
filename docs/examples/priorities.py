"""Messages with a higher priority are delivered first. Needs: pip install pika"""

import sys

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()

channel.queue_declare("mail", durable=True, arguments={"x-max-priority": 10})
for body, priority in [("letter", None), ("parcel", 3), ("telegram", 9), ("other parcel", 3)]:
    properties = pika.BasicProperties(delivery_mode=2, priority=priority)
    channel.basic_publish("", "mail", body.encode(), properties)

order = [channel.basic_get("mail", auto_ack=True)[2].decode() for _ in range(4)]
print(", ".join(order))
assert order == ["telegram", "parcel", "other parcel", "letter"]

channel.queue_delete("mail")
connection.close()
