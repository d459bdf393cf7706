"""What a consumer rejects goes to another queue, and says where it has been. Needs: pip install pika"""

import sys

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()

channel.exchange_declare("unpaid", "fanout", durable=True)
channel.queue_declare("unpaid-invoices", durable=True)
channel.queue_bind("unpaid-invoices", "unpaid")
channel.queue_declare("invoices", durable=True, arguments={"x-dead-letter-exchange": "unpaid"})

channel.basic_publish("", "invoices", b"no. 17", pika.BasicProperties(delivery_mode=2))
method, _, _ = channel.basic_get("invoices")
channel.basic_reject(method.delivery_tag, requeue=False)

for _, properties, body in channel.consume("unpaid-invoices", auto_ack=True):
    death = properties.headers["x-death"][0]
    print(f"{body.decode()}: {death['reason']} in {death['queue']}, {death['count']} time(s)")
    assert (death["queue"], death["reason"], death["count"]) == ("invoices", "rejected", 1)
    assert properties.headers["x-first-death-reason"] == "rejected"
    break

channel.cancel()
channel.queue_delete("invoices")
channel.queue_delete("unpaid-invoices")
channel.exchange_delete("unpaid")
connection.close()
