-- database: mysql:9.7
-- first: every.inc
-- What every server has; VECTOR.
CREATE TABLE vectors (id INT PRIMARY KEY, v VECTOR(3), w VECTOR);
INSERT INTO vectors VALUES (1, STRING_TO_VECTOR('[1, -2.5, 1e10]'), NULL);
