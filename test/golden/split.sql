-- One statement's rows over many events: only the last one ends the statement.
-- server: --binlog-row-event-max-size=256
CREATE DATABASE golden CHARACTER SET utf8mb4;
USE golden;
CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(100));
INSERT INTO t SELECT seq, REPEAT('v', seq) FROM seq_1_to_24;
UPDATE t SET v = REPEAT('w', 100) WHERE id < 5;
DELETE FROM t WHERE id % 2 = 0;
