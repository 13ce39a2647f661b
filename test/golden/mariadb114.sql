-- database: mariadb:11.4
-- server: --binlog-annotate-row-events=0
-- first: every.inc
-- What every server has; end positions 0 inside of transactions; after images of what changed only.
SET SESSION binlog_row_image = FULL_NODUP;
UPDATE numbers SET i1 = 5 WHERE id = 2;
