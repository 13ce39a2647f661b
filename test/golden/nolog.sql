-- server: --binlog-row-metadata=NO_LOG
-- MariaDB 10.11 with its own row metadata: none.
CREATE DATABASE golden CHARACTER SET utf8mb4;
USE golden;
CREATE TABLE t (id INT PRIMARY KEY, u BIGINT UNSIGNED, v VARCHAR(20), b VARBINARY(9), e ENUM('ä', 'b'), s SET('x', 'y', 'z'), g GEOMETRY, c CHAR(200));
INSERT INTO t VALUES (-1, 18446744073709551615, 'ä日', x'ff00', 'b', 'x,z', POINT(1, 2), 'c'), (1, 1, 'a', 'b', NULL, NULL, NULL, NULL);
