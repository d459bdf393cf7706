"""A publisher that knows when the broker is short of memory or disk. Needs: pip install pika"""

import sys

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
parameters = pika.URLParameters(url)
# While the broker is short, publishing waits. After so many seconds the client gives up, with an exception.
parameters.blocked_connection_timeout = 60
connection = pika.BlockingConnection(parameters)
connection.add_on_connection_blocked_callback(
    lambda connection, frame: print("blocked:", frame.method.reason)
)
connection.add_on_connection_unblocked_callback(lambda connection, frame: print("goes on"))

channel = connection.channel()
channel.confirm_delivery()
channel.queue_declare("figures", durable=True)
channel.basic_publish("", "figures", b"42", pika.BasicProperties(delivery_mode=2))
print("confirmed")
channel.queue_delete("figures")
connection.close()
