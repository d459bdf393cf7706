"""A message that is too old is dropped, and a queue that nobody uses goes. Needs: pip install pika"""

import sys

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()

# Every message may wait for a minute; the first one asks for less.
channel.queue_declare("offers", durable=True, arguments={"x-message-ttl": 60_000})
channel.basic_publish("", "offers", b"until noon", pika.BasicProperties(expiration="200"))
channel.basic_publish("", "offers", b"until tonight")
connection.sleep(1)
_, _, body = channel.basic_get("offers", auto_ack=True)
print("still there:", body.decode())
assert body == b"until tonight"

# The queue goes when it had no consumer, no basic.get and no declare for so long, with what is in it.
channel.queue_declare("visitor", durable=True, arguments={"x-expires": 300})
connection.sleep(1.5)
try:
    channel.queue_declare("visitor", passive=True)
    raise SystemExit("the queue is still there")
except pika.exceptions.ChannelClosedByBroker as error:
    print("gone:", error.reply_text)
    assert error.reply_code == 404

connection.channel().queue_delete("offers")
connection.close()
