"""aio-pika, the asyncio client: robust connections, many publishers at once, and RPC over direct reply-to."""

import asyncio
import uuid

import aio_pika

from checks import check, finish, url


async def fan_out(connection):
    channel = await connection.channel()
    exchange = await channel.declare_exchange(
        f"aio-{uuid.uuid4()}", aio_pika.ExchangeType.FANOUT, auto_delete=True
    )
    queues = [await channel.declare_queue(exclusive=True) for _ in range(3)]
    for queue in queues:
        await queue.bind(exchange)
    message = aio_pika.Message(b"x", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    await asyncio.gather(*(exchange.publish(message, routing_key="") for _ in range(100)))
    check("aio-pika: 100 concurrent publishes are confirmed", True)
    counts = [0, 0, 0]
    for index, queue in enumerate(queues):
        async with queue.iterator(timeout=20) as messages:
            async for got in messages:
                async with got.process():
                    counts[index] += 1
                if counts[index] == 100:
                    break
    check("aio-pika: each of three queues got all of them", counts == [100, 100, 100])


async def rpc(connection):
    server_channel = await connection.channel()
    requests = await server_channel.declare_queue(exclusive=True)

    async def answer(message):
        async with message.process():
            reply = aio_pika.Message(
                message.body[::-1], correlation_id=message.correlation_id
            )
            await server_channel.default_exchange.publish(reply, routing_key=message.reply_to)

    await requests.consume(answer)

    channel = await connection.channel()
    answers = asyncio.Queue()
    replies = await channel.get_queue("amq.rabbitmq.reply-to", ensure=False)
    await replies.consume(answers.put, no_ack=True)
    for number in range(20):
        body = f"question {number}".encode()
        request = aio_pika.Message(
            body, reply_to="amq.rabbitmq.reply-to", correlation_id=str(number)
        )
        await channel.default_exchange.publish(request, routing_key=requests.name)
    received = {}
    for _ in range(20):
        reply = await asyncio.wait_for(answers.get(), 20)
        received[reply.correlation_id] = reply.body
    expected = {str(n): f"question {n}".encode()[::-1] for n in range(20)}
    check("aio-pika: 20 questions are answered by direct reply-to", received == expected)


async def returned(connection):
    channel = await connection.channel(on_return_raises=True)
    try:
        await channel.default_exchange.publish(
            aio_pika.Message(b"back"), routing_key=f"missing-{uuid.uuid4()}"
        )
        came_back = False
    except aio_pika.exceptions.DeliveryError as error:
        came_back = error.message.delivery.reply_code == 312
    check("aio-pika: an unroutable message is returned with 312", came_back)


async def main():
    connection = await aio_pika.connect_robust(url())
    async with connection:
        await fan_out(connection)
        await rpc(connection)
        await returned(connection)
    check("aio-pika: the connection closes cleanly", connection.is_closed)


asyncio.run(main())
finish()
