-- database: mysql:8.0
-- server: --binlog-row-metadata=MINIMAL --gtid-mode=OFF --enforce-gtid-consistency=OFF
-- The server's own defaults: signs and character sets are known, names and labels are not; no GTIDs.
CREATE DATABASE golden CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
USE golden;
CREATE TABLE t (id INT PRIMARY KEY, u TINYINT UNSIGNED, v VARCHAR(20), l CHAR(5) CHARACTER SET latin1, b VARBINARY(9), e ENUM('ä', 'b'),
    s SET('x', 'y', 'z'), j JSON, g GEOMETRY);
INSERT INTO t VALUES (-1, 255, 'ä日', 'é', x'ff00', 'b', 'x,z', '[1]', POINT(1, 2));
SET SESSION binlog_transaction_compression = ON;
UPDATE t SET u = 128, e = 'ä';
