-- database: mariadb:11.8
-- first: every.inc
-- What every server has; UUID, INET4 and VECTOR, which its Table_map events call binary; TIMESTAMP up to 2106.
CREATE TABLE newer (id INT PRIMARY KEY, u UUID, a INET4, v VECTOR(2), ts TIMESTAMP);
INSERT INTO newer VALUES (1, '123e4567-e89b-12d3-a456-426655440000', '1.2.3.4', VEC_FromText('[1,2]'), '2106-02-07 06:28:15');
