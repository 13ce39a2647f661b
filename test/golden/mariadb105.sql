-- database: mariadb:10.5
-- server: --binlog-annotate-row-events=0
-- first: every.inc
-- What every server has; INET6, a system-versioned table.
CREATE TABLE versioned (id INT PRIMARY KEY, v INT, a INET6) WITH SYSTEM VERSIONING;
INSERT INTO versioned VALUES (1, 1, '2001:db8::1');
UPDATE versioned SET v = 2;
DELETE FROM versioned;
