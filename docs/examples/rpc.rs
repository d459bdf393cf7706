// Asks a question and waits for the answer, but not for ever. Needs: cargo add lapin futures-lite,
// and: cargo add tokio --features macros,rt-multi-thread,time

use std::time::Duration;

use futures_lite::StreamExt;
use lapin::options::*;
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const QUEUE: &str = "doubling";

/// Who asks: a channel of its own, and the consumer on it that gets the answers.
struct Caller {
    channel: Channel,
    answers: Consumer,
    asked: u64,
}

impl Caller {
    async fn new(connection: &Connection) -> Result<Self> {
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        // Not a queue: the broker passes answers on to this channel. It must be consumed first, without acknowledgements.
        let no_ack = BasicConsumeOptions { no_ack: true, ..Default::default() };
        let replies = "amq.rabbitmq.reply-to".into();
        let answers = channel.basic_consume(replies, "".into(), no_ack, FieldTable::default()).await?;
        Ok(Self { channel, answers, asked: 0 })
    }

    /// The answer, or none if it does not come in time.
    async fn ask(&mut self, question: &str, limit: Duration) -> Result<Option<String>> {
        self.asked += 1;
        let id = self.asked.to_string();
        let properties = BasicProperties::default()
            .with_reply_to("amq.rabbitmq.reply-to".into())
            .with_correlation_id(id.as_str().into())
            // Whoever gets to the question later than this would answer it for nobody.
            .with_expiration(limit.as_millis().to_string().into());
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let published = self
            .channel
            .basic_publish("".into(), QUEUE.into(), options, question.as_bytes(), properties)
            .await?
            .await?;
        if !matches!(published, Confirmation::Ack(None)) {
            return Err("nobody has made the queue, or it is full".into());
        }
        let answer = async {
            while let Some(answer) = self.answers.next().await {
                let answer = answer?;
                // Another number belongs to an earlier question that was given up.
                if answer.properties.correlation_id().as_ref().is_some_and(|it| it.as_str() == id) {
                    return Ok(String::from_utf8(answer.data)?);
                }
            }
            Err("the channel was closed".into())
        };
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer.map(Some),
            Err(_too_late) => Ok(None),
        }
    }
}

/// Who answers: doubles numbers, and has no answer to anything else.
async fn serve(channel: Channel, mut questions: Consumer) -> Result<()> {
    while let Some(question) = questions.next().await {
        let question = question?;
        let number = String::from_utf8_lossy(&question.data).parse::<i32>();
        if let (Ok(number), Some(reply_to)) = (number, question.properties.reply_to()) {
            let mut properties = BasicProperties::default();
            if let Some(id) = question.properties.correlation_id() {
                properties = properties.with_correlation_id(id.clone());
            }
            let (options, body) = (BasicPublishOptions::default(), (2 * number).to_string());
            channel
                .basic_publish("".into(), reply_to.clone(), options, body.as_bytes(), properties)
                .await?
                .await?;
        }
        // After the answer: if this program dies before, another one gets the question.
        question.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let local = "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned();
    let url = std::env::args().nth(1).unwrap_or(local);

    let server = Connection::connect(&url, ConnectionProperties::default()).await?;
    let channel = server.create_channel().await?;
    let (durable, none) = (QueueDeclareOptions::durable(), FieldTable::default());
    channel.queue_declare(QUEUE.into(), durable, none).await?;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let questions = channel.basic_consume(QUEUE.into(), "".into(), options, none).await?;
    tokio::spawn(async { serve(channel, questions).await.map_err(|error| error.to_string()) });

    let client = Connection::connect(&url, ConnectionProperties::default()).await?;
    let mut caller = Caller::new(&client).await?;
    for (question, expected) in [("21", Some("42")), ("what?", None), ("-4", Some("-8"))] {
        let answer = caller.ask(question, Duration::from_secs(2)).await?;
        println!("{question} -> {}", answer.as_deref().unwrap_or("no answer in time"));
        assert_eq!(answer.as_deref(), expected);
    }
    client.close(200, "done".into()).await?;
    server.close(200, "done".into()).await?;
    Ok(())
}
