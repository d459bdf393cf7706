-- Version 4: commits are written to the journal first, a file beside this one.
--   journal_epoch     which of its records count: those of the newest run
--   journal_position  the first of them that is not in these tables, in bytes that the run wrote

INSERT INTO meta VALUES ('journal_epoch', 0), ('journal_position', 0);
