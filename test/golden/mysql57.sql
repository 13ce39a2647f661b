-- database: mysql:5.7
-- first: every.inc
-- What every server has, without row metadata; JSON in its binary form, a generated column.
CREATE TABLE docs (id INT PRIMARY KEY, j JSON, n INT AS (id * 2) STORED);
INSERT INTO docs (id, j) VALUES (1, '{"b": [1, 2.5, null, "ä"], "a": true}'), (2, NULL);
