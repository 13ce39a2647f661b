-- database: mysql:9.7
-- server: --binlog-row-metadata=MINIMAL
-- The server's own row metadata.
CREATE DATABASE golden;
USE golden;
CREATE TABLE t (id INT UNSIGNED PRIMARY KEY, v VECTOR(2), e ENUM('a', 'b'), t TEXT CHARACTER SET latin1);
INSERT INTO t VALUES (4294967295, STRING_TO_VECTOR('[1, 2]'), 'b', 'é');
