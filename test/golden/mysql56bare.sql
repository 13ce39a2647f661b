-- database: mysql:5.6
-- server: --gtid-mode=OFF --enforce-gtid-consistency=OFF --binlog-checksum=NONE --binlog-row-image=MINIMAL
-- No GTIDs and no checksums: nothing but the events themselves.
CREATE DATABASE golden;
USE golden;
CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10), n INT);
INSERT INTO t VALUES (1, 'one', 1), (2, NULL, 2);
UPDATE t SET n = -1 WHERE id = 2;
BEGIN; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (3, 'three', 3); COMMIT;
DROP TABLE t;
