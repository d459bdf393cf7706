"""pika, the blocking client: topology, confirms, returns, acknowledgements, refusals."""

import uuid

import pika
from pika.exceptions import ChannelClosedByBroker, UnroutableError

from checks import check, finish, url


def publish_and_consume(connection):
    channel = connection.channel()
    queue = f"pika-{uuid.uuid4()}"
    channel.queue_declare(queue, durable=True)
    channel.confirm_delivery()
    properties = pika.BasicProperties(
        delivery_mode=2, headers={"n": 7, "text": "grün", "list": [1, "two", None]}, message_id="m"
    )
    for number in range(200):
        channel.basic_publish("", queue, str(number), properties, mandatory=True)
    check("pika: 200 persistent messages are confirmed", True)

    channel.basic_qos(prefetch_count=10)
    bodies, headers = [], None
    for method, got, body in channel.consume(queue, inactivity_timeout=20):
        if method is None:
            break
        bodies.append(int(body))
        headers = got.headers
        channel.basic_ack(method.delivery_tag)
        if len(bodies) == 200:
            break
    channel.cancel()
    check("pika: they arrive in order", bodies == list(range(200)))
    check("pika: headers survive", headers == properties.headers)
    left = channel.queue_declare(queue, passive=True).method.message_count
    check("pika: the queue is empty afterwards", left == 0)
    channel.queue_delete(queue)


def routing(connection):
    channel = connection.channel()
    exchange = f"pika-{uuid.uuid4()}"
    channel.exchange_declare(exchange, "topic", auto_delete=True)
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, exchange, "a.*.#")
    for key in ("a.b", "a", "a.b.c", "b.a"):
        channel.basic_publish(exchange, key, key)
    got = []
    while True:
        method, _, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            break
        got.append(body.decode())
    check("pika: a topic exchange routes", got == ["a.b", "a.b.c"])


def returns_and_redelivery(connection):
    channel = connection.channel()
    channel.confirm_delivery()
    try:
        channel.basic_publish("", f"missing-{uuid.uuid4()}", b"back", mandatory=True)
        returned = False
    except UnroutableError as error:
        returned = error.messages[0].body == b"back"
    check("pika: an unroutable mandatory message comes back", returned)

    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.basic_publish("", queue, b"again")
    method, _, _ = channel.basic_get(queue)
    channel.basic_nack(method.delivery_tag, requeue=True)
    method, _, _ = channel.basic_get(queue, auto_ack=True)
    check("pika: a requeued message is redelivered", method.redelivered)


def refusals(connection):
    channel = connection.channel()
    try:
        channel.queue_declare(f"missing-{uuid.uuid4()}", passive=True)
        closed = None
    except ChannelClosedByBroker as error:
        closed = error
    check("pika: a missing queue is 404 NOT_FOUND", closed.reply_code == 404)
    check("pika: the connection goes on", connection.channel().is_open)


def transactions(connection):
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.tx_select()
    channel.basic_publish("", queue, b"dropped")
    channel.tx_rollback()
    channel.basic_publish("", queue, b"kept")
    channel.tx_commit()
    first = channel.basic_get(queue, auto_ack=True)
    second = channel.basic_get(queue, auto_ack=True)
    check("pika: only what was committed is there", (first[2], second[0]) == (b"kept", None))


def main():
    connection = pika.BlockingConnection(pika.URLParameters(url()))
    for scenario in (publish_and_consume, routing, returns_and_redelivery, refusals, transactions):
        scenario(connection)
    connection.close()
    check("pika: the connection closes cleanly", connection.is_closed)
    finish()


main()
