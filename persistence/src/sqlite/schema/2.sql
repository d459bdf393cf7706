-- Version 2: what is noted of a message on its way, keys that are remembered, and more definitions.

DROP VIEW queue_length;
DROP VIEW queue_message;
DROP VIEW entry;

ALTER TABLE vhost ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE vhost ADD COLUMN tags TEXT NOT NULL DEFAULT '';
ALTER TABLE vhost ADD COLUMN default_queue_type TEXT NOT NULL DEFAULT '';

ALTER TABLE user ADD COLUMN limits TEXT NOT NULL DEFAULT '';

-- Empty for an ordinary queue; for an internal one the exchange whose messages it keeps.
ALTER TABLE queue ADD COLUMN keeps_for TEXT NOT NULL DEFAULT '';

CREATE TABLE topic_permission (
    user TEXT NOT NULL,
    vhost TEXT NOT NULL,
    exchange TEXT NOT NULL,
    write TEXT NOT NULL,
    read TEXT NOT NULL,
    PRIMARY KEY (user, vhost, exchange)
) STRICT, WITHOUT ROWID;

-- `value` is JSON. Times, here and below, are milliseconds since 1970, and 0 where there is none.
CREATE TABLE parameter (
    vhost TEXT NOT NULL,
    component TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    updated INTEGER NOT NULL,
    PRIMARY KEY (vhost, component, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE global_parameter (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- `arrived` and `flags` are new. A long body lies in overflow pages, one leading to the next, and a
-- column after it can only be reached through all of them. So the body has to stay the last one,
-- which takes a new table.
CREATE TABLE message_2 (
    id INTEGER PRIMARY KEY,
    queues ANY NOT NULL,
    arrived INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL,
    properties BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;
INSERT INTO message_2
    SELECT id, queues, 0, 0, exchange, routing_key, properties, body FROM message ORDER BY id;
DROP TABLE message;
ALTER TABLE message_2 RENAME TO message;

-- What has happened to a message in a queue. Only where there is an entry does a row mean
-- anything: rows are deleted with those of the messages, later and as ranges.
CREATE TABLE progress (
    message INTEGER NOT NULL,
    queue INTEGER NOT NULL,
    deliveries INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    due INTEGER NOT NULL,
    PRIMARY KEY (message, queue)
) STRICT, WITHOUT ROWID;

-- Keys that somebody wants to know again, to recognize duplicates. A higher `number` is newer.
CREATE TABLE remembered (
    owner TEXT NOT NULL,
    key BLOB NOT NULL,
    number INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

-- As in version 1.
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

-- The messages of each queue. An internal queue may have the name of an ordinary one and is told
-- from it by `keeps_for`, here and in the next view.
CREATE VIEW queue_message (
    vhost, queue, keeps_for, id, arrived, flags, exchange, routing_key, properties, body
) AS
SELECT queue.vhost, queue.name, queue.keeps_for, message.id, message.arrived, message.flags,
       message.exchange, message.routing_key, message.properties, message.body
FROM entry
JOIN queue ON queue.id = entry.queue
JOIN message ON message.id = entry.message;

-- How many messages each queue holds.
CREATE VIEW queue_length (vhost, queue, keeps_for, messages) AS
SELECT queue.vhost, queue.name, queue.keeps_for, count(entry.message)
FROM queue LEFT JOIN entry ON entry.queue = queue.id
GROUP BY queue.id;

-- What has happened to the messages of each queue.
CREATE VIEW queue_progress (vhost, queue, keeps_for, id, deliveries, retries, due) AS
SELECT queue.vhost, queue.name, queue.keeps_for, progress.message, progress.deliveries,
       progress.retries, progress.due
FROM entry
JOIN queue ON queue.id = entry.queue
JOIN progress ON progress.message = entry.message AND progress.queue = entry.queue;
