"""A message that is published twice is queued once. Needs: pip install pika"""

import sys

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()

# A key is remembered for an hour, also when its message is long consumed, and also after a restart.
arguments = {"x-message-deduplication": True, "x-cache-ttl": 3_600_000}
channel.queue_declare("payments", durable=True, arguments=arguments)


def pay(key):
    headers = {"x-deduplication-header": key}
    properties = pika.BasicProperties(delivery_mode=2, headers=headers)
    # Returns when it is confirmed, which a duplicate is too: what it says is on disk.
    channel.basic_publish("", "payments", key.encode(), properties)


for key in ("invoice-17", "invoice-17", "invoice-18"):
    pay(key)
queued = channel.queue_declare("payments", passive=True).method.message_count
print("published 3, queued", queued)
assert queued == 2

channel.basic_get("payments", auto_ack=True)
pay("invoice-17")
queued = channel.queue_declare("payments", passive=True).method.message_count
print("one consumed, the same published again, queued", queued)
assert queued == 1

channel.queue_delete("payments")
connection.close()
