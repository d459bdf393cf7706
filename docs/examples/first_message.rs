// Publishes a message that survives a restart of the broker, and consumes it. Needs: cargo add lapin futures-lite,
// and: cargo add tokio --features macros,rt-multi-thread

use futures_lite::StreamExt;
use lapin::options::*;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let local = "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned();
    let url = std::env::args().nth(1).unwrap_or(local);
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let (durable, none) = (QueueDeclareOptions::durable(), FieldTable::default());
    channel.queue_declare("greetings".into(), durable, none).await?;

    // The second await of the publish is for its confirm, which comes when the message is on disk.
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let options = BasicPublishOptions::default();
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let confirmation = channel
        .basic_publish("".into(), "greetings".into(), options, b"hello from Rust", persistent)
        .await?
        .await?;
    assert!(confirmation.is_ack());
    println!("confirmed");

    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut consumer = channel.basic_consume("greetings".into(), "".into(), options, none).await?;
    if let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        println!("received: {}", String::from_utf8_lossy(&delivery.data));
        delivery.ack(BasicAckOptions::default()).await?;
    }
    connection.close(200, "done".into()).await?;
    Ok(())
}
