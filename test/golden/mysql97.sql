-- database: mysql:9.7
-- Tagged GTIDs beside others, and what 9.7 writes around them.
CREATE DATABASE golden CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
USE golden;
CREATE TABLE a (id INT PRIMARY KEY, v INT);
INSERT INTO a VALUES (1, 1);
SET gtid_next = 'automatic:billing';
INSERT INTO a VALUES (2, 2);
SET SESSION binlog_transaction_compression = ON;
UPDATE a SET v = v + 1;
SET SESSION binlog_transaction_compression = OFF;
SET gtid_next = 'automatic';
DELETE FROM a WHERE id = 1;
