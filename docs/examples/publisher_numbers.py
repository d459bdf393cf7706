"""Asks a queue which numbers of a publisher never came. Needs: pip install pika"""

import base64
import json
import sys
import urllib.request

import pika

url = sys.argv[1] if len(sys.argv) > 1 else "amqp://guest:guest@127.0.0.1:5672/%2f"
api = sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:15672/api"
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.confirm_delivery()

channel.queue_declare("readings", durable=True)
for number in (1, 2, 5, 3, 3):
    headers = {"x-publisher-id": "sensor-7", "x-sequence": number}
    properties = pika.BasicProperties(delivery_mode=2, headers=headers)
    channel.basic_publish("", "readings", b"21.5", properties)

request = urllib.request.Request(f"{api}/x/queues/%2F/readings/publishers")
request.add_header("Authorization", "Basic " + base64.b64encode(b"guest:guest").decode())
found = json.load(urllib.request.urlopen(request))
print(json.dumps(found))
[sensor] = found
assert (sensor["last"], sensor["received"]) == (5, 5)
# 4 never came, 3 came after 5, and once more.
assert (sensor["missing"], sensor["gaps"]) == (1, [[4, 4]])
assert (sensor["reordered"], sensor["duplicates"]) == (1, 1)

channel.queue_delete("readings")
connection.close()
