"""A consumer that holds a message for too long loses it. Needs: pip install pika"""

import sys

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()

channel.queue_declare("jobs", durable=True, arguments={"x-queue-type": "quorum"})
channel.basic_publish("", "jobs", b"build", pika.BasicProperties(delivery_mode=2))

held, cancelled = [], []
channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
channel.basic_consume(
    "jobs",
    lambda channel, method, properties, body: held.append(body),
    consumer_tag="hangs",
    arguments={"x-consumer-timeout": 1000},
)
for _ in range(10):
    connection.process_data_events(time_limit=1)
    if cancelled:
        break
print("held:", held, "cancelled:", cancelled)
assert (held, cancelled) == ([b"build"], ["hangs"])

method, _, body = channel.basic_get("jobs", auto_ack=True)
print("back in the queue:", body.decode())
assert method.redelivered

channel.close()
connection.channel().queue_delete("jobs")
connection.close()
