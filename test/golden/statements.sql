-- binlog_format=STATEMENT: nothing to deliver from, but it must be read and recognised.
CREATE DATABASE golden CHARACTER SET utf8mb4;
USE golden;
CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v DOUBLE, w VARCHAR(20));
SET SESSION binlog_format = STATEMENT, timestamp = 1700000000;
INSERT INTO t (v) VALUES (RAND());
SET @u = 'Ünï';
INSERT INTO t (w) VALUES (@u), (LAST_INSERT_ID());
UPDATE golden.t SET v = 1 WHERE id = 1;
DELETE FROM t WHERE id = 1;
REPLACE INTO t (id) SELECT id FROM t AS other;
