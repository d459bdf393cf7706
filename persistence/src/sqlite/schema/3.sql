-- Version 3: vhosts that are protected from deletion.

ALTER TABLE vhost ADD COLUMN protected INTEGER NOT NULL DEFAULT 0;
