-- log_bin_compress: rows and statements in zlib, and short ones that stay plain.
-- server: --log-bin-compress=1 --log-bin-compress-min-len=64
CREATE DATABASE golden CHARACTER SET utf8mb4;
USE golden;
CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200), b BLOB) COMMENT 'a statement that is long enough to be packed, packed, packed, packed';
INSERT INTO t SELECT seq, REPEAT(CHAR(96 + seq), 50), REPEAT(CHAR(seq), 20) FROM seq_1_to_20;
UPDATE t SET v = CONCAT(v, 'x') WHERE id < 10;
DELETE FROM t WHERE id > 5;
INSERT INTO t VALUES (100, 'short', '');
BEGIN; INSERT INTO t SELECT seq + 200, REPEAT('r', 200), '' FROM seq_1_to_10; ROLLBACK;
