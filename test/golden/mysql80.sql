-- database: mysql:8.0
-- MySQL's own ways: GTIDs, compressed transactions, XA, statements as text, CREATE ... SELECT, partial JSON, images.
CREATE DATABASE golden CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
USE golden;
CREATE TABLE a (id INT PRIMARY KEY, v INT);
CREATE TABLE m (id INT PRIMARY KEY, v INT) ENGINE=MyISAM;
CREATE TABLE j (id INT PRIMARY KEY, d JSON, e JSON);
CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(40), price DECIMAL(10,2), at DATETIME(6), body LONGTEXT, kind ENUM('x','y'));
-- rows, and a savepoint that is taken back
INSERT INTO a VALUES (1, 1), (2, 2);
BEGIN;
INSERT INTO a VALUES (3, 3);
SAVEPOINT s;
INSERT INTO a VALUES (4, 4);
ROLLBACK TO s;
UPDATE a SET v = v + 10;
COMMIT;
INSERT INTO m VALUES (1, 1);
-- compressed, with a savepoint and with more than one table
SET SESSION binlog_transaction_compression = ON;
BEGIN;
INSERT INTO a VALUES (5, 5);
SAVEPOINT s;
DELETE FROM a WHERE id = 1;
INSERT INTO t (id) VALUES (1);
ROLLBACK TO s;
INSERT INTO t VALUES (18446744073709551615, 'Ärger', -1.5, '2024-02-29 12:34:56.789012', REPEAT('abcdefgh', 100), 'y');
COMMIT;
SET SESSION binlog_transaction_compression = OFF;
-- XA: committed, rolled back, one phase
XA START 'one', 'branch', 7;
INSERT INTO a VALUES (6, 6);
XA END 'one', 'branch', 7;
XA PREPARE 'one', 'branch', 7;
XA COMMIT 'one', 'branch', 7;
XA START 'two';
INSERT INTO a VALUES (7, 7);
XA END 'two';
XA PREPARE 'two';
XA ROLLBACK 'two';
XA START 'three';
INSERT INTO a VALUES (8, 8);
XA END 'three';
XA COMMIT 'three' ONE PHASE;
-- differences of JSON values, whole ones beside them, and a document that is replaced
INSERT INTO j VALUES (1, '{"a": 1, "b": [1, 2, 3], "c": "some longer text, so that a difference is shorter than the whole value"}', '{"k": 1}'), (2, NULL, '[]');
SET SESSION binlog_row_value_options = PARTIAL_JSON;
UPDATE j SET d = JSON_SET(d, '$.a', 'two');
UPDATE j SET d = JSON_REMOVE(d, '$.b[0]'), e = JSON_ARRAY_APPEND(e, '$', 5) WHERE id = 1;
UPDATE j SET d = '{"new": true}';
SET SESSION binlog_row_value_options = '';
-- statements and images
SET SESSION binlog_rows_query_log_events = ON;
DELETE FROM a WHERE id = 2;
SET SESSION binlog_rows_query_log_events = OFF;
CREATE TABLE copied SELECT id, v FROM a;
SET SESSION binlog_row_image = MINIMAL;
UPDATE a SET v = 0 WHERE id = 3;
SET SESSION binlog_row_image = FULL;
SET SESSION binlog_format = STATEMENT;
INSERT INTO a VALUES (9, 9);
SET SESSION binlog_format = ROW;
TRUNCATE copied;
DROP TABLE copied;
