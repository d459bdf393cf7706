// Publishes a message that survives a restart of the broker, and consumes it. Needs: npm install amqplib
const amqp = require('amqplib');

async function main() {
  const url = process.argv[2] ?? 'amqp://guest:guest@127.0.0.1:5672/%2f';
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue('greetings', { durable: true });

  // The confirm comes when the message is on disk; it is an error if it cannot be.
  channel.sendToQueue('greetings', Buffer.from('hello from Node'), { persistent: true });
  await channel.waitForConfirms();
  console.log('confirmed');

  const message = await new Promise((resolve, reject) => {
    channel.consume('greetings', resolve).catch(reject);
  });
  console.log('received:', message.content.toString());
  channel.ack(message);
  await channel.close();
  await connection.close();
}

main();
