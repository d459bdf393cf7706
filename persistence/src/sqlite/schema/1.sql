-- Facts about the store itself, one row each:
--   clean            1 if the last stop was clean
--   next_message_id  no id from here on was ever written
--   next_queue_id    likewise
--   first_open       ids from this block on may be in no row of `block`
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES
    ('clean', 1), ('next_message_id', 1), ('next_queue_id', 1), ('first_open', 0);

CREATE TABLE vhost (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE user (
    name TEXT PRIMARY KEY,
    password_hash TEXT NOT NULL,
    hashing_algorithm TEXT NOT NULL,
    tags TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE permission (
    user TEXT NOT NULL,
    vhost TEXT NOT NULL,
    configure TEXT NOT NULL,
    write TEXT NOT NULL,
    read TEXT NOT NULL,
    PRIMARY KEY (user, vhost)
) STRICT, WITHOUT ROWID;

CREATE TABLE exchange (
    vhost TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    durable INTEGER NOT NULL,
    auto_delete INTEGER NOT NULL,
    internal INTEGER NOT NULL,
    arguments TEXT NOT NULL,
    PRIMARY KEY (vhost, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE queue (
    id INTEGER PRIMARY KEY,
    vhost TEXT NOT NULL,
    name TEXT NOT NULL,
    durable INTEGER NOT NULL,
    auto_delete INTEGER NOT NULL,
    arguments TEXT NOT NULL,
    delivered_to INTEGER NOT NULL
) STRICT;

CREATE TABLE binding (
    vhost TEXT NOT NULL,
    source TEXT NOT NULL,
    destination_kind TEXT NOT NULL,
    destination TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    arguments TEXT NOT NULL,
    PRIMARY KEY (vhost, source, destination_kind, destination, routing_key, arguments)
) STRICT, WITHOUT ROWID;

-- Every message once, in arrival order. `queues` is where it was published to: a queue id, or a
-- JSON array of them. It says nothing about what has been settled since. A row may outlive its
-- last entry for a while: rows are deleted as ranges.
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    queues ANY NOT NULL,
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    properties BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;

-- For each block of 1,024 message ids (id / 1024) that gets no more messages: who holds what, as
-- JSON [[queue, first, last], ...] counted from the start of the block. Where there is a row, it
-- is what counts, and `message.queues` is not.
CREATE TABLE block (
    id INTEGER PRIMARY KEY,
    messages INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    entries TEXT NOT NULL
) STRICT;

-- What was settled and may not be in the rows of `block` yet: one row a commit, as JSON
-- [[queue, first id, last id], ...]. To be subtracted from what the other two tables say.
CREATE TABLE settled (
    id INTEGER PRIMARY KEY,
    entries TEXT NOT NULL
) STRICT;

-- The sum of the three: which queue holds which message, now.
CREATE VIEW entry (queue, message) AS
WITH gone (queue, first, last) AS MATERIALIZED (
    SELECT run.value ->> 0, run.value ->> 1, run.value ->> 2
    FROM settled, json_each(settled.entries) AS run
),
listed (queue, message) AS (
    SELECT run.value ->> 0, message.id
    FROM block, json_each(block.entries) AS run
    CROSS JOIN message
        ON message.id BETWEEN block.id * 1024 + (run.value ->> 1)
                          AND block.id * 1024 + (run.value ->> 2)
    UNION ALL
    SELECT queue.value, message.id
    FROM message, json_each(message.queues) AS queue
    WHERE message.id >= (SELECT value * 1024 FROM meta WHERE name = 'first_open')
      AND NOT EXISTS (SELECT 1 FROM block WHERE block.id = message.id / 1024)
)
SELECT queue, message
FROM listed
WHERE NOT EXISTS (
    SELECT 1 FROM gone
    WHERE gone.queue = listed.queue AND listed.message BETWEEN gone.first AND gone.last
);

-- The messages of each queue.
CREATE VIEW queue_message (vhost, queue, id, exchange, routing_key, properties, body) AS
SELECT queue.vhost, queue.name, message.id, message.exchange, message.routing_key,
       message.properties, message.body
FROM entry
JOIN queue ON queue.id = entry.queue
JOIN message ON message.id = entry.message;

-- How many messages each queue holds.
CREATE VIEW queue_length (vhost, queue, messages) AS
SELECT queue.vhost, queue.name, count(entry.message)
FROM queue LEFT JOIN entry ON entry.queue = queue.id
GROUP BY queue.id;
