// amqplib, the Node client: confirms, returns, acknowledgements, headers routing and refusals.
// One line a check, `ok - ...` or `not ok - ...`, which xtask counts. The broker's address is the only argument.

import { randomUUID } from "node:crypto";
import amqp from "amqplib";

let failed = 0;

function check(what, holds) {
  console.log(`${holds ? "ok" : "not ok"} - amqplib: ${what}`);
  failed += holds ? 0 : 1;
}

async function publishAndConsume(connection) {
  const channel = await connection.createConfirmChannel();
  const queue = `amqplib-${randomUUID()}`;
  await channel.assertQueue(queue, { durable: true });
  for (let number = 0; number < 500; number += 1) {
    channel.sendToQueue(queue, Buffer.from(String(number)), {
      persistent: true,
      headers: { n: 7, nested: { list: [1, "two", true] } },
    });
  }
  await channel.waitForConfirms();
  check("500 persistent messages are confirmed", true);

  await channel.prefetch(20);
  const bodies = [];
  let headers;
  await new Promise((resolve) => {
    const take = (message) => {
      bodies.push(Number(message.content));
      headers = message.properties.headers;
      channel.ack(message);
      if (bodies.length === 500) resolve();
    };
    channel.consume(queue, take, { consumerTag: "c" });
  });
  await channel.cancel("c");
  check("they arrive in order", bodies.every((body, index) => body === index));
  check("nested headers survive", JSON.stringify(headers?.nested) === '{"list":[1,"two",true]}');
  await channel.deleteQueue(queue);
  await channel.close();
}

async function headersRouting(connection) {
  const channel = await connection.createChannel();
  const exchange = `amqplib-${randomUUID()}`;
  await channel.assertExchange(exchange, "headers", { autoDelete: true, durable: false });
  const { queue } = await channel.assertQueue("", { exclusive: true });
  await channel.bindQueue(queue, exchange, "", { "x-match": "any", colour: "red", size: 3 });
  channel.publish(exchange, "", Buffer.from("red"), { headers: { colour: "red" } });
  channel.publish(exchange, "", Buffer.from("blue"), { headers: { colour: "blue" } });
  const first = await channel.get(queue, { noAck: true });
  const second = await channel.get(queue, { noAck: true });
  check("a headers exchange routes", String(first.content) === "red" && second === false);
  await channel.close();
}

async function returned(connection) {
  const channel = await connection.createConfirmChannel();
  const back = new Promise((resolve) => channel.once("return", resolve));
  channel.publish("", `missing-${randomUUID()}`, Buffer.from("back"), { mandatory: true });
  const message = await back;
  await channel.waitForConfirms();
  check("an unroutable mandatory message comes back", message.fields.replyCode === 312);
  await channel.close();
}

async function refused(connection) {
  const channel = await connection.createChannel();
  const closed = new Promise((resolve) => channel.once("error", resolve));
  await channel.checkQueue(`missing-${randomUUID()}`).catch(() => {});
  check("a missing queue closes the channel with 404", (await closed).code === 404);
  const other = await connection.createChannel();
  check("the connection goes on", (await other.assertQueue("", { exclusive: true })).queue !== "");
}

async function largeMessage(connection) {
  const channel = await connection.createChannel();
  const { queue } = await channel.assertQueue("", { exclusive: true });
  const body = Buffer.alloc(4 * 1024 * 1024, "leveret ");
  channel.sendToQueue(queue, body);
  const received = await new Promise((resolve) => {
    channel.consume(queue, resolve, { noAck: true });
  });
  check("a message of 4 MiB arrives whole", received.content.equals(body));
}

const connection = await amqp.connect(process.argv[2]);
for (const scenario of [publishAndConsume, headersRouting, returned, refused, largeMessage]) {
  await scenario(connection);
}
await connection.close();
check("the connection closes cleanly", true);
process.exitCode = failed === 0 ? 0 : 1;
