"""Two consumers share a queue, and the messages of one customer stay in order. Needs: pip install pika"""

import sys

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()
channel.basic_qos(prefetch_count=1)
channel.queue_declare("steps", durable=True, arguments={"x-message-group-header": "customer"})
for customer, step in [("anna", 1), ("anna", 2), ("ben", 1), ("anna", 3), ("ben", 2)]:
    properties = pika.BasicProperties(delivery_mode=2, headers={"customer": customer})
    channel.basic_publish("", "steps", str(step).encode(), properties)

seen, held = [], []


def work(channel, method, properties, body):
    seen.append((properties.headers["customer"], int(body)))
    held.append(method)
    print(f"consumer {method.consumer_tag}: {properties.headers['customer']} {body.decode()}")


channel.basic_consume("steps", work, consumer_tag="1")
channel.basic_consume("steps", work, consumer_tag="2")
connection.process_data_events(time_limit=1)
# Nothing is acknowledged yet: each consumer has a group to itself, and no group is at two consumers.
assert seen == [("anna", 1), ("ben", 1)]
while held:
    channel.basic_ack(held.pop(0).delivery_tag)
    connection.process_data_events(time_limit=0.5)
assert [step for customer, step in seen if customer == "anna"] == [1, 2, 3]
assert [step for customer, step in seen if customer == "ben"] == [1, 2]

channel.queue_delete("steps")
connection.close()
