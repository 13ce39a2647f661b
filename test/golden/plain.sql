-- binlog_checksum=NONE and no annotations: events end with their body.
-- server: --binlog-checksum=NONE --binlog-annotate-row-events=0
CREATE DATABASE golden CHARACTER SET utf8mb4;
USE golden;
CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(100));
INSERT INTO t VALUES (1, 'one'), (2, NULL);
UPDATE t SET v = 'two' WHERE id = 2;
