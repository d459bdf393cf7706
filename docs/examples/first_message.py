"""Publishes a message that survives a restart of the broker, and consumes it. Needs: pip install pika"""

import sys

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.queue_declare("greetings", durable=True)

# With confirms on, basic_publish returns when the message is on disk, and raises if it cannot be.
channel.confirm_delivery()
persistent = pika.BasicProperties(delivery_mode=2)
channel.basic_publish("", "greetings", b"hello from Python", persistent)
print("confirmed")


def take(channel, method, properties, body):
    print("received:", body.decode())
    channel.basic_ack(method.delivery_tag)
    channel.stop_consuming()


channel.basic_consume("greetings", take)
channel.start_consuming()
connection.close()
