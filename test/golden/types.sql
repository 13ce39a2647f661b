-- Every column type that Millrace carries, at its borders.
CREATE DATABASE golden CHARACTER SET utf8mb4;
USE golden;
CREATE TABLE numbers (
    id INT PRIMARY KEY, i1 TINYINT, u1 TINYINT UNSIGNED, i2 SMALLINT, u2 SMALLINT UNSIGNED, i3 MEDIUMINT, u3 MEDIUMINT UNSIGNED,
    i4 INT, u4 INT UNSIGNED ZEROFILL, i8 BIGINT, u8 BIGINT UNSIGNED, f FLOAT, d DOUBLE, b1 BIT, b9 BIT(9), b64 BIT(64), bo BOOLEAN,
    d65 DECIMAL(65,38), d5 DECIMAL(5,2) UNSIGNED, d10 DECIMAL(10,0), d9 DECIMAL(9,9), y YEAR);
INSERT INTO numbers VALUES
    (1, -128, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, -3.4e38, -1.7976931348623157e308, b'0', b'0', 0, FALSE,
     -999999999999999999999999999.99999999999999999999999999999999999999, 0, -9999999999, -0.999999999, 0),
    (2, 127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775807, 18446744073709551615, 3.4e38,
     1.7976931348623157e308, b'1', b'111111111', 18446744073709551615, TRUE,
     999999999999999999999999999.99999999999999999999999999999999999999, 999.99, 9999999999, 0.999999999, 2155),
    (3, -1, 128, -1, 32768, -1, 8388608, -1, 2147483648, -1, 9223372036854775808, 1.17549e-38, 2.2250738585072014e-308, NULL, b'100000000',
     1, TRUE, 0.00000000000000000000000000000000000001, 0.01, 0, 0.000000001, 1901),
    (4, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0.1, 0.1, b'1', b'1', b'10', FALSE, -0.5, 1, 1, -0.5, 2000),
    (5, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
UPDATE numbers SET i1 = i1 + 1, d65 = -d65 WHERE id IN (3, 4);
DELETE FROM numbers WHERE id > 3;
SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES';
CREATE TABLE times (
    id INT PRIMARY KEY, d DATE, t TIME, t1 TIME(1), t3 TIME(3), t6 TIME(6), dt DATETIME, dt2 DATETIME(2), dt6 DATETIME(6),
    ts TIMESTAMP NULL, ts5 TIMESTAMP(5) NULL, ts6 TIMESTAMP(6) NULL);
INSERT INTO times VALUES
    (1, '1000-01-01', '-838:59:59', '-838:59:59.9', '-00:00:00.001', '-838:59:59.999999', '1000-01-01 00:00:00', '1000-01-01 00:00:00.01',
     '1000-01-01 00:00:00.000001', '1970-01-01 00:00:01', '1970-01-01 00:00:01.00001', '1970-01-01 00:00:01.000001'),
    (2, '9999-12-31', '838:59:59', '838:59:59.9', '838:59:59.999', '838:59:59.999999', '9999-12-31 23:59:59', '9999-12-31 23:59:59.99',
     '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07', '2038-01-19 03:14:07.99999', '2038-01-19 03:14:07.999999'),
    (3, '2024-02-29', '00:00:00', '00:00:00.1', '00:00:00.001', '-00:00:00.000001', '2024-02-29 12:34:56', '2024-02-29 12:34:56.78',
     '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56', '2024-02-29 12:34:56.78901', '2024-02-29 12:34:56.789012'),
    (4, '0000-00-00', '-00:00:01', '-00:00:01.5', '-00:00:01.999', '-00:00:01.000001', '0000-00-00', '0000-00-00', '0000-00-00', 0, 0, 0),
    (5, '2024-02-31', '12:00:00', NULL, NULL, NULL, '2024-02-31 01:02:03', '2024-00-00', '0000-00-01 00:00:00', NULL, NULL, NULL);
SET sql_mode = DEFAULT;
CREATE TABLE texts (
    id INT PRIMARY KEY, c CHAR(10), cl CHAR(10) CHARACTER SET latin1, v VARCHAR(255) CHARACTER SET ascii, v4 VARCHAR(300),
    v3 VARCHAR(20) CHARACTER SET utf8mb3, uca VARCHAR(20) COLLATE utf8mb4_uca1400_ai_ci, u16 VARCHAR(10) CHARACTER SET utf16,
    tt TINYTEXT, t TEXT, mt MEDIUMTEXT, lt LONGTEXT, j JSON, b BINARY(4), vb VARBINARY(300), tb TINYBLOB, bl BLOB, mb MEDIUMBLOB, lb LONGBLOB);
INSERT INTO texts VALUES
    (1, '', '', '', '', '', '', '', '', '', '', '', '{}', '', '', '', '', '', ''),
    (2, 'é😀', 'é€', 'ascii~', REPEAT('日', 100), 'жж', 'Ünï', '😀x', 'tiny', 'a\nb\0c"\\', 'medium', 'long', '{"a": [1, "é😀"]}', 'ab',
     x'00ff80', x'00', x'fffe', x'010203', x'00112233445566778899aabbccddeeff'),
    (3, 'trail  ', 'trail  ', 'trail  ', 'trail  ', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'null', x'61200000', x'2020', NULL, NULL, NULL, NULL);
CREATE TABLE labels (
    id INT PRIMARY KEY, e ENUM('a','it''s','','ü','c,d','😀'), s SET('x','y','z'), s9 SET('1','2','3','4','5','6','7','8','9'),
    el ENUM('é','b') CHARACTER SET latin1, sl SET('é','b') CHARACTER SET latin1,
    s64 SET('a0','a1','a2','a3','a4','a5','a6','a7','a8','a9','b0','b1','b2','b3','b4','b5','b6','b7','b8','b9','c0','c1','c2','c3','c4','c5',
    'c6','c7','c8','c9','d0','d1','d2','d3','d4','d5','d6','d7','d8','d9','e0','e1','e2','e3','e4','e5','e6','e7','e8','e9','f0','f1','f2','f3',
    'f4','f5','f6','f7','f8','f9','g0','g1','g2','g3'));
SET sql_mode = '';
INSERT INTO labels VALUES (1, 'a', 'x', '1', 'é', 'é', 'a0'), (2, '😀', 'x,z', '9,1', 'b', 'é,b', 'a0,g3'), (3, '', '', '', 'nothing', '', ''),
    (4, 'it''s', 'y', '2', NULL, NULL, NULL), (5, 'ü', NULL, NULL, NULL, NULL, NULL);
