-- How groups begin and end: several statements, several tables, what rolled back in whole and in part, XA, group of nothing.
CREATE DATABASE golden CHARACTER SET utf8mb4;
USE golden;
CREATE TABLE a (id INT PRIMARY KEY, n INT);
CREATE TABLE b (id INT PRIMARY KEY, n INT);
CREATE TABLE m (id INT PRIMARY KEY, n INT) ENGINE=MyISAM;
CREATE TABLE keyless (n INT, t TEXT);
BEGIN;
INSERT INTO a VALUES (1, 1), (2, 2);
UPDATE a SET n = n + 10;
INSERT INTO b SELECT * FROM a;
DELETE FROM a WHERE id = 1;
COMMIT;
UPDATE a, b SET a.n = 0, b.n = 0 WHERE a.id = b.id;
BEGIN; INSERT INTO a VALUES (100, 0); ROLLBACK;
-- only the MyISAM row stays, in a group of its own
BEGIN; INSERT INTO a VALUES (101, 0); INSERT INTO m VALUES (1, 1); INSERT INTO a VALUES (102, 0); ROLLBACK;
BEGIN; INSERT INTO a VALUES (3, 3); SAVEPOINT s1; INSERT INTO a VALUES (4, 4); ROLLBACK TO s1; INSERT INTO a VALUES (5, 5); COMMIT;
-- with a MyISAM row between, what was rolled back to a savepoint stands in the binlog
BEGIN;
INSERT INTO a VALUES (6, 6); SAVEPOINT `S ``2`;
INSERT INTO a VALUES (7, 7); INSERT INTO m VALUES (2, 2); ROLLBACK TO `s ``2`;
INSERT INTO a VALUES (8, 8); SAVEPOINT s3; INSERT INTO b VALUES (9, 9); RELEASE SAVEPOINT s3;
COMMIT;
BEGIN; CREATE TEMPORARY TABLE tmp (id INT); INSERT INTO tmp VALUES (1); INSERT INTO a SELECT id + 20, id FROM tmp; DROP TEMPORARY TABLE tmp; COMMIT;
-- groups that end in ROLLBACK: a temporary table was made, or one statement wrote to both engines
BEGIN; INSERT INTO a VALUES (60, 0); CREATE TEMPORARY TABLE tmp2 (id INT); INSERT INTO a VALUES (61, 0); ROLLBACK; DROP TEMPORARY TABLE tmp2;
BEGIN; INSERT INTO a VALUES (62, 0); UPDATE a, m SET a.n = 99, m.n = 99 WHERE m.id = 1; ROLLBACK;
BEGIN; INSERT INTO a VALUES (64, 0); SAVEPOINT t1; CREATE TEMPORARY TABLE tmp3 (id INT); INSERT INTO a VALUES (65, 0); ROLLBACK TO t1;
INSERT INTO a VALUES (66, 0); COMMIT; DROP TEMPORARY TABLE tmp3;
INSERT INTO keyless VALUES (1, 'same'), (1, 'same'), (NULL, NULL);
DELETE FROM keyless WHERE n = 1 LIMIT 1;
UPDATE keyless SET t = 'x';
REPLACE INTO a VALUES (3, 33);
INSERT INTO a VALUES (3, 0) ON DUPLICATE KEY UPDATE n = 34;
UPDATE a SET id = 30 WHERE id = 3;
XA START 'one', 'branch', 7; INSERT INTO a VALUES (40, 0); XA END 'one', 'branch', 7; XA PREPARE 'one', 'branch', 7; XA COMMIT 'one', 'branch', 7;
XA START 'two'; INSERT INTO a VALUES (41, 0); XA END 'two'; XA PREPARE 'two'; XA ROLLBACK 'two';
XA START 'three'; INSERT INTO a VALUES (42, 0); XA END 'three'; XA COMMIT 'three' ONE PHASE;
SET SESSION gtid_domain_id = 3, server_id = 9;
INSERT INTO a VALUES (50, 0);
