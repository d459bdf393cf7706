mod tests {
    use super::*;

    fn table(name: &str, value: AMQPValue) -> FieldTable {
        let mut table = FieldTable::default();
        table.insert(name.into(), value);
        table
    }

    #[test]
    fn bad_values_are_refused_in_rabbitmqs_words() {
        let long = |text: &str| AMQPValue::LongString(text.into());
        let prefix = |name: &str| format!("invalid arg '{name}' for queue 'q' in vhost '/'");
        let cases = [
            ("x-message-ttl", AMQPValue::LongInt(-1), ": {value_negative,-1}"),
            ("x-message-ttl", long("5"), ": \"expected integer, got longstr\""),
            ("x-expires", AMQPValue::LongInt(0), ": {value_zero,0}"),
            (
                "x-expires",
                AMQPValue::LongLongInt(315_360_000_001),
                ": {value_too_large,315360000001}",
            ),
            ("x-max-length", AMQPValue::LongInt(-1), ": {value_negative,-1}"),
            ("x-max-priority", AMQPValue::LongInt(300), ": {max_value_exceeded,300}"),
            ("x-overflow", long("x"), ": invalid_overflow"),
            ("x-overflow", AMQPValue::LongInt(1), ": {unacceptable_type,signedint}"),
            ("x-single-active-consumer", long("true"), ": {unacceptable_type,longstr}"),
            ("x-queue-type", long("foo"), ": \"unsupported queue type 'foo'\""),
            ("x-dead-letter-routing-key", long("k"), ": routing_key_but_no_dlx_defined"),
            ("x-delivery-limit", AMQPValue::LongInt(1), " of queue type rabbit_classic_queue"),
        ];
        for (name, value, reason) in cases {
            let fault = rules(&table(name, value), false, "q", "/").unwrap_err();
            assert_eq!(fault.explanation, format!("{}{reason}", prefix(name)));
            assert_eq!(fault.code, ReplyCode::PreconditionFailed);
        }
    }

    #[test]
    fn a_redeclare_compares_known_arguments_by_value() {
        let int = |value| table("x-max-length", AMQPValue::LongInt(value));
        let long = |value| table("x-max-length", AMQPValue::LongLongInt(value));
        let none = FieldTable::default();
        let unknown = table("x-anything", AMQPValue::LongInt(1));
        let classic = table("x-queue-type", AMQPValue::LongString("classic".into()));
        for (received, current) in [(&int(1), &long(1)), (&unknown, &none), (&classic, &none)] {
            check_equivalent(received, current, "q", "/").unwrap();
        }
        let text = |received: &FieldTable, current: &FieldTable| {
            let fault = check_equivalent(received, current, "q", "/").unwrap_err();
            fault.explanation.into_owned()
        };
        let start = "inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received";
        assert_eq!(text(&int(1), &int(2)), format!("{start} '1' but current is '2'"));
        assert_eq!(
            text(&int(1), &none),
            format!("{start} the value '1' of type 'signedint' but current is none")
        );
        assert_eq!(
            text(&none, &long(1)),
            format!("{start} none but current is the value '1' of type 'long'")
        );
    }
}
