//! Promise: lapin, the Rust client, works unchanged. The other clients have their round trips in `tests/clients`.

use anyhow::{Context, Result, ensure};
use lapin::message::DeliveryResult;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use leveret_tests::broker::Broker;
use leveret_tests::wait::DEADLINE;
use tokio::sync::mpsc;
use tokio::time::timeout;

async fn connect(broker: &Broker) -> Result<Connection> {
    let uri = format!("amqp://guest:guest@{}/%2f?heartbeat=10", broker.address());
    Ok(Connection::connect(&uri, ConnectionProperties::default()).await?)
}

/// Publishes the numbers below `count`, waits for their confirms, and gives the properties they have.
async fn publish_numbers(channel: &Channel, queue: &str, count: usize) -> Result<BasicProperties> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut headers = FieldTable::default();
    headers.insert("n".into(), AMQPValue::LongInt(7));
    let properties = BasicProperties::default().with_delivery_mode(2).with_headers(headers);
    for number in 0..count {
        channel
            .basic_publish(
                "".into(),
                queue.into(),
                BasicPublishOptions::default(),
                number.to_string().as_bytes(),
                properties.clone(),
            )
            .await?;
    }
    ensure!(channel.wait_for_confirms().await?.is_empty(), "nothing was returned");
    Ok(properties)
}

#[tokio::test]
async fn persistent_messages_are_confirmed_and_delivered() -> Result<()> {
    const COUNT: usize = 1000;
    let broker = Broker::start();
    let connection = connect(&broker).await?;
    let (publisher, consumer) =
        (connection.create_channel().await?, connection.create_channel().await?);
    let name = broker.name("lapin");
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    publisher.queue_declare(name.as_str().into(), options, FieldTable::default()).await?;

    let (sender, mut deliveries) = mpsc::unbounded_channel();
    consumer.basic_qos(50, BasicQosOptions::default()).await?;
    let consuming = consumer
        .basic_consume(
            name.as_str().into(),
            "c".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await?;
    consuming.set_delegate(move |delivery: DeliveryResult| {
        let sender = sender.clone();
        async move {
            if let Ok(Some(delivery)) = delivery {
                let _acked = delivery.acker.ack(BasicAckOptions::default()).await;
                let _test_has_ended = sender.send(delivery);
            }
        }
    });

    let properties = publish_numbers(&publisher, &name, COUNT).await?;
    let mut bodies = Vec::new();
    for _ in 0..COUNT {
        let delivery = timeout(DEADLINE, deliveries.recv()).await?.context("a delivery")?;
        ensure!(delivery.properties.headers() == properties.headers());
        bodies.push(String::from_utf8(delivery.data)?.parse::<usize>()?);
    }
    // The delegate may run for several deliveries at once.
    bodies.sort_unstable();
    ensure!(bodies == (0..COUNT).collect::<Vec<_>>());
    publisher.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await?;
    connection.close(200, "done".into()).await?;
    Ok(())
}

#[tokio::test]
async fn an_unroutable_message_comes_back_with_its_confirm() -> Result<()> {
    let broker = Broker::start();
    let channel = connect(&broker).await?.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm = channel
        .basic_publish(
            "amq.topic".into(),
            "nowhere".into(),
            options,
            b"back",
            BasicProperties::default(),
        )
        .await?;
    match timeout(DEADLINE, confirm).await?? {
        Confirmation::Ack(Some(returned)) => {
            ensure!(returned.reply_code == 312 && returned.delivery.data == b"back");
        }
        other => anyhow::bail!("expected an ack with a return, got {other:?}"),
    }
    Ok(())
}

#[tokio::test]
async fn a_topic_binding_routes_and_a_missing_queue_is_404() -> Result<()> {
    let broker = Broker::start();
    let connection = connect(&broker).await?;
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
    channel
        .queue_bind(
            queue.name().clone(),
            "amq.topic".into(),
            "lapin.*".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await?;
    channel
        .basic_publish(
            "amq.topic".into(),
            "lapin.works".into(),
            BasicPublishOptions::default(),
            b"m",
            BasicProperties::default(),
        )
        .await?;
    let message = channel
        .basic_get(queue.name().clone(), BasicGetOptions { no_ack: true })
        .await?
        .context("the message was routed")?;
    ensure!(message.delivery.routing_key.as_str() == "lapin.works");

    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let missing = channel
        .queue_declare(broker.name("missing").into(), passive, FieldTable::default())
        .await
        .err()
        .context("a missing queue is refused")?;
    ensure!(missing.to_string().contains("NOT_FOUND"), "{missing}");
    connection.create_channel().await?;
    Ok(())
}
