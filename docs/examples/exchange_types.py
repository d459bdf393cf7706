"""Exchange types that RabbitMQ has as plugins: by hash, at random, with a memory. Needs: pip install pika"""

import sys

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()


def count(queue):
    return channel.queue_declare(queue, passive=True).method.message_count


# Each key always goes to the same queue; the binding key is the weight of the queue.
channel.exchange_declare("by-user", "x-consistent-hash", durable=True)
for queue, weight in [("users-1", "1"), ("users-2", "3")]:
    channel.queue_declare(queue, durable=True)
    channel.queue_bind(queue, "by-user", weight)
for user in range(1000):
    channel.basic_publish("by-user", f"user-{user}", b"")
print("by hash, weights 1 and 3:", count("users-1"), count("users-2"))
assert 150 < count("users-1") < 350
assert count("users-1") + count("users-2") == 1000

# One of the bound queues, at random.
channel.exchange_declare("anywhere", "x-random", durable=True)
for queue in ("users-1", "users-2"):
    channel.queue_purge(queue)
    channel.queue_bind(queue, "anywhere")
for _ in range(100):
    channel.basic_publish("anywhere", "", b"")
print("at random:", count("users-1"), count("users-2"))
assert count("users-1") + count("users-2") == 100

# A queue that is bound later gets the last messages.
channel.exchange_declare("news", "x-recent-history", durable=True, arguments={"x-recent-history-length": 2})
for body in (b"1", b"2", b"3"):
    channel.basic_publish("news", "", body)
channel.queue_declare("late", durable=True)
channel.queue_bind("late", "news")
bodies = []
for _, _, body in channel.consume("late", auto_ack=True, inactivity_timeout=1):
    if body is None:
        break
    bodies.append(body)
channel.cancel()
print("history:", bodies)
assert bodies == [b"2", b"3"]

for queue in ("users-1", "users-2", "late"):
    channel.queue_delete(queue)
for exchange in ("by-user", "anywhere", "news"):
    channel.exchange_delete(exchange)
connection.close()
