//! Whole runs against a broker in this process: what the tool reports about a broker that keeps its
//! promises, and about one that does not.

#[cfg(test)]
mod broker;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leveret_perf::{Args, Error, ExchangeKind, Report, Verification, measure};

    use super::broker::{Broker, Faults};

    /// Options for `messages` messages of each publisher.
    fn args(broker: &Broker, messages: u64) -> Args {
        Args {
            uri: Some(broker.uri()),
            messages: Some(messages),
            quiet: true,
            timeout: Some(Duration::from_millis(400)),
            ..Args::default()
        }
    }

    fn run(args: Args) -> (Report, Verification) {
        let report = measure(args).unwrap();
        let verification = report.verification.clone().unwrap();
        (report, verification)
    }

    /// Runs 1,000 confirmed messages against a broker with faults.
    fn run_faulty(faults: Faults) -> (Report, Verification) {
        let broker = Broker::start(faults);
        run(Args { confirms: Some(50), ..args(&broker, 1_000) })
    }

    #[test]
    fn everything_is_confirmed_delivered_and_acknowledged() {
        let broker = Broker::start(Faults::default());
        let args = Args { confirms: Some(100), ack_every: Some(7), ..args(&broker, 10_000) };
        let (report, found) = run(args);
        assert_eq!(report.status(), 0, "{report:?}");
        assert_eq!(report.broker, "Broker");
        for rate in [report.published, report.confirmed, report.delivered] {
            assert_eq!(rate.unwrap().total, 10_000);
        }
        let expected = Verification { complete: true, expected: 10_000, ..Default::default() };
        assert_eq!(found, expected);
        assert!(report.confirm_latency.is_some() && report.end_to_end_latency.is_some());
        assert_eq!(broker.acknowledged(), (10_000, 10_000));
    }

    #[test]
    fn without_confirms_everything_published_is_still_awaited() {
        let broker = Broker::start(Faults::default());
        let (report, found) = run(Args { auto_ack: Some(true), ..args(&broker, 20_000) });
        assert_eq!((report.status(), found.expected), (0, 20_000));
        assert!(report.confirmed.is_none() && report.confirm_latency.is_none());
        assert_eq!(broker.acknowledged(), (0, 0));
    }

    #[test]
    fn bodies_above_frame_max_are_split_and_put_together() {
        let broker = Broker::start(Faults { frame_max: Some(8_192), ..Faults::default() });
        let (report, found) = run(Args { size: Some(100_000), ..args(&broker, 30) });
        assert_eq!((report.status(), found.expected), (0, 30));
    }

    #[test]
    fn fan_out_expects_every_message_from_every_queue() {
        let broker = Broker::start(Faults::default());
        let (report, found) = run(Args {
            kind: Some(ExchangeKind::Fanout),
            queues: Some(3),
            consumers: Some(3),
            publishers: Some(2),
            confirms: Some(10),
            ..args(&broker, 500)
        });
        assert_eq!((report.status(), found.expected), (0, 3 * 2 * 500));
    }

    #[test]
    fn consumers_of_one_queue_share_its_messages() {
        let broker = Broker::start(Faults::default());
        let (report, found) =
            run(Args { publishers: Some(3), consumers: Some(4), ..args(&broker, 2_000) });
        assert_eq!((report.status(), found.expected), (0, 6_000));
    }

    #[test]
    fn publishers_and_consumers_take_queues_round_robin() {
        let broker = Broker::start(Faults::default());
        let (report, found) = run(Args {
            queues: Some(3),
            publishers: Some(5),
            consumers: Some(3),
            confirms: Some(10),
            ..args(&broker, 300)
        });
        assert_eq!((report.status(), found.expected), (0, 1_500));
    }

    #[test]
    fn a_drain_consumes_only_what_is_already_published() {
        let broker = Broker::start(Faults::default());
        let (report, found) = run(Args {
            drain: Some(true),
            auto_ack: Some(true),
            confirms: Some(1_000),
            ..args(&broker, 5_000)
        });
        assert_eq!((report.status(), found.expected), (0, 5_000));
        assert!(report.end_to_end_latency.is_none(), "how long it lay there is no latency");
    }

    #[test]
    fn bindings_that_do_not_match_get_nothing() {
        let broker = Broker::start(Faults::default());
        let (report, found) = run(Args {
            kind: Some(ExchangeKind::Topic),
            bindings: Some(300),
            ..args(&broker, 100)
        });
        assert_eq!((report.status(), found.misrouted), (0, 0));
        assert_eq!(broker.queues(), []);
    }

    #[test]
    fn a_rate_is_kept_without_anything_coming_from_the_broker() {
        let broker = Broker::start(Faults::default());
        let (report, _) = run(Args { rate: Some(2_000), consumers: Some(0), ..args(&broker, 400) });
        assert_eq!(report.status(), 0);
        let published = report.published.unwrap();
        assert_eq!(published.total, 400);
        // 400 take 199.5 ms; a busy machine may make it longer, nothing may make it much shorter.
        assert!(published.per_second < 2_200.0, "{published:?}");
    }

    #[test]
    fn lost_messages_are_counted_and_named() {
        let (report, found) = run_faulty(Faults { lose_every: Some(300), ..Faults::default() });
        assert_eq!((report.status(), found.lost), (1, 3));
        assert_eq!(found.losses[0].first, [299, 599, 899]);
    }

    #[test]
    fn doubled_messages_are_counted() {
        let (report, found) = run_faulty(Faults { double_every: Some(100), ..Faults::default() });
        assert_eq!((report.status(), found.duplicated, found.lost), (1, 10, 0));
    }

    #[test]
    fn messages_out_of_order_are_counted() {
        let (report, found) = run_faulty(Faults { swap_every: Some(100), ..Faults::default() });
        assert_eq!((report.status(), found.reordered, found.lost), (1, 10, 0));
    }

    #[test]
    fn refused_and_returned_messages_are_not_lost() {
        let faults =
            Faults { refuse_every: Some(100), return_every: Some(70), ..Faults::default() };
        let (report, found) = run_faulty(faults);
        assert_eq!(report.status(), 0, "{found:?}");
        assert_eq!((found.refused, found.returned, found.expected), (10, 13, 1_000 - 23));
    }

    #[test]
    fn a_closed_connection_ends_the_run_with_its_reply_text() {
        let (report, found) = run_faulty(Faults { close_at: Some(500), ..Faults::default() });
        assert_eq!(report.status(), 2);
        let error = report.error.unwrap();
        assert!(error.contains("320 CONNECTION_FORCED - broker shutdown"), "{error}");
        assert!(!found.complete);
    }

    #[test]
    fn a_cancelled_consumer_ends_the_run() {
        let (report, _) = run_faulty(Faults { cancel_at: Some(500), ..Faults::default() });
        assert!(report.error.unwrap().contains("basic.cancel"));
    }

    #[test]
    fn confirms_that_never_come_end_the_run() {
        let (report, found) = run_faulty(Faults { never_confirm: true, ..Faults::default() });
        assert_eq!((report.status(), found.unconfirmed), (2, 50));
    }

    #[test]
    fn heartbeats_are_answered_and_blocking_is_measured() {
        let (report, _) = run_faulty(Faults { block: true, ..Faults::default() });
        assert_eq!(report.status(), 0);
        assert!(report.blocked_s > 0.0);
    }

    #[test]
    fn what_was_declared_is_deleted_and_what_existed_is_not() {
        let broker = Broker::start(Faults::default());
        broker.declare("old");
        for queue in ["old", "new"] {
            run(Args { queue: Some(queue.to_owned()), ..args(&broker, 10) });
        }
        assert_eq!(broker.queues(), [("old".to_owned(), 0)]);
        run(Args {
            queue: Some("kept".to_owned()),
            keep: true,
            consumers: Some(0),
            ..args(&broker, 10)
        });
        assert_eq!(broker.queues(), [("kept".to_owned(), 10), ("old".to_owned(), 0)]);
    }

    #[test]
    fn idle_connections_are_opened_and_closed() {
        let broker = Broker::start(Faults::default());
        let report = measure(Args {
            connections_only: Some(100),
            duration: Some(Duration::from_millis(10)),
            ..args(&broker, 1)
        });
        let report = report.unwrap();
        assert_eq!((report.status(), report.connections.unwrap().count), (0, 100));
    }

    #[test]
    fn queues_are_declared_bound_and_deleted() {
        let broker = Broker::start(Faults::default());
        let report = measure(Args {
            declare_only: Some(true),
            queues: Some(50),
            kind: Some(ExchangeKind::Direct),
            ..args(&broker, 1)
        });
        let report = report.unwrap();
        for steps in [report.declared, report.bound, report.deleted] {
            assert_eq!(steps.unwrap().count, 50);
        }
        assert_eq!(broker.queues(), []);
    }

    #[test]
    fn a_refused_connection_says_what_to_try() {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let uri = Some(format!("amqp://{unused}").parse().unwrap());
        let error = measure(Args { uri, quiet: true, ..Args::default() }).unwrap_err();
        assert!(matches!(error, Error::Connect { .. }));
        assert!(error.to_string().ends_with("is the broker running?"), "{error}");
    }
}
