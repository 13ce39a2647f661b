-- database: mysql:8.0.15
-- first: every.inc
-- What every server has; partial updates of JSON.
CREATE TABLE docs (id INT PRIMARY KEY, j JSON, n INT AS (id * 2) VIRTUAL);
INSERT INTO docs (id, j) VALUES (1, '{"b": [1, 2.5, null, "ä"], "a": "a text that is longer than its change"}');
SET SESSION binlog_row_value_options = PARTIAL_JSON;
UPDATE docs SET j = JSON_SET(j, '$.b[1]', 3);
