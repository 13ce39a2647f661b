-- Row images that lack columns: MINIMAL and NOBLOB; absent is not NULL.
CREATE DATABASE golden CHARACTER SET utf8mb4;
USE golden;
CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(100), n INT DEFAULT 7, b TEXT);
SET SESSION binlog_row_image = MINIMAL;
INSERT INTO t (id, v) VALUES (1, 'one'), (2, NULL);
UPDATE t SET v = 'uno' WHERE id = 1;
UPDATE t SET id = 3, b = 'text' WHERE id = 2;
DELETE FROM t WHERE id = 1;
SET SESSION binlog_row_image = NOBLOB;
UPDATE t SET n = 8;
UPDATE t SET b = NULL;
DELETE FROM t;
